import { render } from "preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Project } from "../../api/client";
import type { Change } from "../../shell/events";
import { JobDetail } from "./JobDetail";

const service = vi.hoisted(() => {
  const service = { asked: [] as string[], step: 0 };
  // the client takes the fetch that is there when it is imported
  globalThis.fetch = async (request) => {
    const { pathname } = new URL(request instanceof Request ? request.url : String(request), location.href);
    const what = pathname.split("/").at(5) ?? "job";
    service.asked.push(what);
    if (what === "log") return new Response("10:00:00 it trains");
    if (what === "curve") return Response.json({ step: service.step, seconds_left: 40, points: [] });
    return Response.json({ id: "a", kind: "train", state: "running", message: "training", fraction: 0.1 });
  };
  return service;
});

beforeEach(() => Object.assign(service, { asked: [], step: 0 }));
afterEach(() => {
  render(null, document.body);
  vi.useRealTimers();
});

function show(change: Change | null): void {
  const project = { labels: [] } as unknown as Project;
  render(<JobDetail id="a" project={project} change={change} cancel={() => {}} may />, document.body);
}

const says = (text: string) => vi.waitFor(() => expect(document.body.textContent).toContain(text));

test("a training that runs is followed by its events, and not asked between them", async () => {
  vi.useFakeTimers({ toFake: ["setInterval"] });
  show(null);
  await says("step 0, about 40 s left");
  service.asked = [];
  vi.advanceTimersByTime(60_000);
  expect(service.asked).toEqual([]);

  service.step = 7;
  show({ kind: "progress", object_id: "a", state: "running" });
  await says("step 7");
  expect(service.asked.toSorted()).toEqual(["curve", "job"]); // nobody reads its log

  service.asked = [];
  show({ kind: "progress", object_id: "b", state: "running" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(service.asked).toEqual([]);
});

test("while the broker is away it is asked now and then", async () => {
  show(null);
  await says("step 0");
  service.step = 8;
  show({ kind: "missed", object_id: "", state: "" });
  await says("step 8");
});

test("its log is fetched when it is opened", async () => {
  show(null);
  await says("step 0");
  expect(service.asked).not.toContain("log");
  const log = document.body.querySelector("details");
  if (log) log.open = true;
  log?.dispatchEvent(new Event("toggle"));
  await says("10:00:00 it trains");
});
