import "fake-indexeddb/auto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { apply } from "../../raster/apply";
import { lint } from "../../raster/lint";
import { query, setQuery } from "../../shell/router";
import { locked, paintValue, shownLabels, uncertainty } from "../settings";
import { specimen, uuid } from "../specimen";
import { saving } from "./actions";
import type { Desk } from "./desk";
import { close, parcelsOf, recall } from "./journal";
import { namedView, nameOfView } from "./viewname";
import type { Answer, Question } from "./slips";
import { until } from "./server.specimen";

// the client takes `fetch` when it is loaded
const answering = vi.hoisted(() => {
  const at: { fetch: (request: Request) => Promise<Response> } = {
    fetch: () => Promise.reject(new TypeError("nobody answers")),
  };
  globalThis.fetch = (input, init) =>
    at.fetch(
      input instanceof Request ? input : new Request(new URL(String(input), location.origin), init),
    );
  return at;
});
vi.mock("../../widgets/confirm", () => ({ confirm: () => Promise.resolve(true) }));
const { sitDown } = await import("./desk");

const SIZE = 16;
const model = specimen(SIZE, 4);
const LEASE = 1800;

/** A server with a queue of tiles. */
function queue(count: number) {
  const server = {
    open: Array.from({ length: count }, (_, i) => uuid(100 + i)),
    held: [] as string[],
    asked: null as number[] | null,
    complete: "",
    gone: false,
    signedOut: false,
    /** Whether annotations are refused for now. */
    busy: false,
    /** What an answer to a claim waits for. */
    slow: Promise.resolve(),
    lapses: false,
    late: false,
    /** Share of gold tiles, and what is said of one that was sent. */
    gold: 0,
    feedback: { hints: [], scores: [], annotation_id: null as string | null },
    requests: [] as string[],
    sent: [] as { task: string; query: URLSearchParams; labels: Uint8Array }[],
    changed: () => {},
  };
  const view = (id: string) => ({
    ...model.task,
    id,
    complete_for: server.asked,
    prediction_id: null,
    lease_until: new Date(Date.now() + 1000 * LEASE).toISOString(),
  });
  const ended = (id: string) => (server.held = server.held.filter((other) => other !== id));
  const answer = async (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    const parts = pathname.split("/").slice(3);
    server.requests.push(`${request.method} ${parts.at(-1)}`);
    const raw = (labels: Uint8Array | Uint16Array, headers: Record<string, string> = {}) =>
      new Response(labels as Uint8Array<ArrayBuffer>, { headers });
    switch (parts.at(-1)) {
      case "claims": {
        while (server.held.length < 2 && server.open.length > 0) server.held.push(server.open.shift()!);
        const why = server.held.length < 2 ? "The queue is empty." : null;
        const claimed = { tasks: server.held.map(view), why_fewer: why };
        await server.slow;
        return Response.json(claimed);
      }
      case "images":
        return Response.json({ items: [model.image], next: null });
      case "region":
        return raw(model.grey.data as Uint8Array, { "X-Dtype": "uint8" });
      case "mask":
        return raw(model.start, { "X-Complete-For": server.complete });
      case "draft":
        if (request.method === "GET") return new Response(null, { status: 204 });
        return new Response("{}", { headers: { ETag: '"1"' } });
      case "comments":
        return Response.json([]);
      case "renew":
        if (!server.lapses) return Response.json(view(parts[1]));
        return Response.json({ detail: "You do not hold this task now." }, { status: 409 });
      case "skip":
      case "release":
        ended(parts[1]);
        return Response.json(view(parts[1]));
      case "annotations": {
        if (server.busy) return new Response("{}", { status: 503 });
        const labels = new Uint8Array(await request.arrayBuffer());
        server.sent.push({ task: parts[1], query: searchParams, labels });
        ended(parts[1]);
        return Response.json({ late: server.late }, { status: 201 });
      }
      case "feedback":
        return Response.json(server.feedback);
      default:
        return Response.json({ ...model.project, gold_share: server.gold });
    }
  };
  answering.fetch = async (request) => {
    if (server.gone) throw new TypeError("Failed to fetch");
    if (server.signedOut) return Response.json({ detail: "Sign in first." }, { status: 401 });
    return answer(request);
  };
  class Stream {
    onmessage: ((message: { data: string }) => void) | null = null;
    constructor() {
      server.changed = () =>
        this.onmessage?.({ data: JSON.stringify({ kind: "task", object_id: "", state: "open" }) });
    }
    addEventListener() {}
    close() {}
  }
  vi.stubGlobal("EventSource", Stream);
  vi.stubGlobal("Worker", Thread);
  return server;
}

/** A thread that answers in the same one. */
class Thread {
  onmessage: ((message: { data: Answer }) => void) | null = null;
  postMessage({ id, raster, options }: Question) {
    const findings = lint(raster, options);
    queueMicrotask(() => this.onmessage?.({ data: { id, findings } }));
  }
}

let desk: Desk;
const done = vi.fn();
const taskAtHand = () => desk.work.value?.bench.sheet.task.id;
const sit = (kind: "annotate" | "review" = "annotate") =>
  (desk = sitDown({ slug: "liver", me: "me", kind, done }));
const opened = (id: string) => until(() => expect(taskAtHand()).toBe(id));

function dab(value = 2): void {
  const { bench } = desk.work.value!;
  const selection = { rect: { x: 2, y: 2, w: 3, h: 3 }, bits: new Uint8Array(9).fill(1) };
  bench.done(apply(bench.raster, selection, value, new Uint8Array(256).fill(1)));
}

beforeEach(() => {
  const timers = ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
  vi.useFakeTimers({ toFake: [...timers, "performance"] });
  vi.clearAllMocks();
  close();
  indexedDB.deleteDatabase("cisterna");
  locked.value = new Set();
  paintValue.value = 0;
  setQuery({ tile: null, view: null });
});
afterEach(async () => {
  // what still runs afterwards would meet a window that is gone
  let closed = false;
  void desk.close().finally(() => (closed = true));
  await until(() => expect(closed).toBe(true));
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a tile", () => {
  test("is opened with the next one already fetched", async () => {
    const server = queue(3);
    sit();
    await opened(uuid(100));
    expect(query.value.get("tile")).toBe(uuid(100));
    expect(paintValue.value).toBe(1);
    await until(() => expect(server.requests.filter((one) => one === "GET region")).toHaveLength(2));
    server.requests.length = 0;
    dab();
    await desk.send();
    expect(taskAtHand()).toBe(uuid(101));
    // what is fetched now is for the one after
    await until(() => expect(server.requests.filter((one) => one === "GET region")).toHaveLength(1));
  });

  test("that the address names comes first, as it is looked at there", async () => {
    queue(2);
    setQuery({ tile: uuid(101), view: "3,-4.5,2" });
    sit();
    await opened(uuid(101));
    expect(desk.work.value?.bench.view.value).toEqual({ left: 3, top: -4.5, scale: 2 });
  });

  test("is not looked at as a link looks at another one", async () => {
    queue(1);
    setQuery({ tile: uuid(101), view: "3,-4.5,2" });
    sit();
    await opened(uuid(100));
    expect(desk.work.value?.bench.view.value).toEqual({ left: 0, top: 0, scale: 1 });
  });

  test("is first seen without the map of doubt and the pre-label's view", async () => {
    queue(2);
    sit();
    await opened(uuid(100));
    uncertainty.value = { ...uncertainty.value, visible: true, opacity: 0.3 };
    shownLabels.value = "difference";
    dab();
    await desk.send();
    await opened(uuid(101));
    expect(uncertainty.value).toMatchObject({ visible: false, opacity: 0.3 });
    expect(shownLabels.value).toBe("mine");
  });

  test("arrives as it was painted, with what is said of it", async () => {
    const server = queue(2);
    sit();
    await opened(uuid(100));
    dab();
    desk.setFlag("look here");
    desk.work.value!.bench.completeFor.value = [2];
    const painted = desk.work.value!.bench.raster.data.slice();
    await desk.send();
    const [sent] = server.sent;
    expect(sent.labels).toEqual(painted);
    expect(Object.fromEntries(sent.query)).toMatchObject({ complete_for: "2", flag: "look here" });
    expect(sent.query.has("prediction_id")).toBe(false);
    expect((await recall("me", uuid(100))).entry).toBeNull();
    expect(desk.flag.value).toBeNull();
  });

  test("that may hold slips is sent only when the person insists", async () => {
    const server = queue(1);
    sit();
    await opened(uuid(100));
    desk.actions.submit();
    await until(() => expect(desk.findings.value?.length).toBeGreaterThan(0));
    expect(server.sent).toHaveLength(0);
    await desk.send();
    expect(server.sent).toHaveLength(1);
  });

  test("that was a check says how it compares, once it is sent", async () => {
    const server = queue(3);
    server.gold = 0.5;
    sit();
    await opened(uuid(100));
    dab();
    const painted = desk.work.value!.bench.raster.data.slice();
    await desk.send();
    await until(() => expect(server.requests).toContain("GET feedback"));
    expect(desk.compared.value).toBe(null);
    server.feedback = { ...server.feedback, annotation_id: uuid(9) };
    dab();
    await desk.send();
    await until(() => expect(desk.compared.value).not.toBe(null));
    expect(desk.compared.value?.sheet.task.id).toBe(uuid(101));
    expect(desk.compared.value?.raster.data).toEqual(painted);
    expect(taskAtHand()).toBe(uuid(102));
  });

  test("is not asked about where no tile is gold", async () => {
    const server = queue(2);
    sit();
    await opened(uuid(100));
    dab();
    await desk.send();
    await opened(uuid(101));
    expect(server.requests).not.toContain("GET feedback");
  });

  test("is skipped with a reason", async () => {
    const server = queue(2);
    sit();
    await opened(uuid(100));
    await desk.skip("artefact");
    expect(taskAtHand()).toBe(uuid(101));
    expect(server.requests).toContain("POST skip");
  });

  test("asked for some labels locks the others and keeps what they were complete for", async () => {
    const server = queue(2);
    server.asked = [2];
    server.complete = "1,2";
    locked.value = new Set([2]);
    sit();
    await opened(uuid(100));
    expect([...locked.value]).toEqual([1, 3]);
    expect(paintValue.value).toBe(2);
    dab();
    server.asked = null;
    await desk.send();
    expect(server.sent[0].query.get("complete_for")).toBe("1,2");
    void desk.close();
    expect([...locked.value]).toEqual([2]);
  });
});

describe("the queue", () => {
  test("that is empty says why and goes on by itself", async () => {
    const server = queue(0);
    sit();
    await until(() => expect(desk.why.value).toBe("The queue is empty."));
    server.open.push(uuid(200));
    server.changed();
    await opened(uuid(200));
    expect(desk.why.value).toBeNull();
  });

  test("that cannot be reached is tried again when the connection is back", async () => {
    const server = queue(1);
    server.gone = true;
    sit();
    await until(() => expect(desk.problem.value).not.toBeNull());
    server.gone = false;
    dispatchEvent(new Event("online"));
    await opened(uuid(100));
  });

  test("does not bring back a tile that is still on its way", async () => {
    const server = queue(2);
    sit();
    await opened(uuid(100));
    await until(() => expect(server.requests.filter((one) => one === "GET region")).toHaveLength(2));
    dab();
    server.gone = true;
    await desk.send();
    expect(taskAtHand()).toBe(uuid(101));
    expect(desk.waiting.value.map((parcel) => parcel.task)).toEqual([uuid(100)]);
    expect(await parcelsOf("me")).toHaveLength(1);
    server.gone = false;
    dispatchEvent(new Event("online"));
    await until(() => expect(server.sent).toHaveLength(1));
    await until(() => expect(desk.waiting.value).toEqual([]));
    expect(taskAtHand()).toBe(uuid(101));
    expect((await recall("me", uuid(100))).entry).toBeNull();
  });
});

test("who signed in again is not asked a second time", async () => {
  const server = queue(2);
  sit();
  await opened(uuid(100));
  server.signedOut = true;
  dab();
  desk.actions.save();
  await until(() => expect(desk.signedOut.value).toBe(true));
  server.signedOut = false;
  const asked: boolean[] = [];
  const stop = desk.signedOut.subscribe((value) => asked.push(value));
  desk.welcome();
  await until(() => expect(saving.value).toEqual({ state: "saved", pending: 0 }));
  stop();
  expect(asked).toEqual([true, false]);
});

describe("a claim", () => {
  test("leaves out what waits on this computer", async () => {
    const server = queue(2);
    sit();
    await opened(uuid(100));
    server.busy = true;
    await desk.send();
    await opened(uuid(101));
    await until(() => expect(server.requests.filter((one) => one === "POST claims")).toHaveLength(2));
    await desk.look();
    await desk.send();
    expect(taskAtHand()).toBeUndefined();
    expect(desk.why.value).toContain("on their way");
  });

  test("from before a tile was sent does not bring it back", async () => {
    const server = queue(3);
    sit();
    await opened(uuid(100));
    await desk.look();
    let answer = () => {};
    server.slow = new Promise((resolve) => (answer = resolve));
    void desk.look();
    await until(() => expect(server.requests.filter((one) => one === "POST claims")).toHaveLength(3));
    await desk.send();
    expect(taskAtHand()).toBe(uuid(101));
    answer();
    await desk.look();
    await desk.send();
    await opened(uuid(102));
  });
});

describe("the lease", () => {
  const seconds = (n: number) => vi.advanceTimersByTimeAsync(1000 * n);
  const renewals = (requests: string[]) => requests.filter((one) => one === "POST renew").length;

  test("of both tiles is renewed every third of its length while the person acts", async () => {
    const { requests } = queue(2);
    sit();
    await opened(uuid(100));
    for (let i = 0; i < 2; i++) {
      await seconds(LEASE / 3 + 1);
      dispatchEvent(new Event("pointermove"));
    }
    expect(renewals(requests)).toBe(4);
  });

  test("is let go when the person has left, and taken up when they are back", async () => {
    const { requests } = queue(2);
    sit();
    await opened(uuid(100));
    await seconds(2 * LEASE);
    const before = renewals(requests);
    await seconds(2 * LEASE);
    expect(renewals(requests)).toBe(before);
    dispatchEvent(new Event("pointerdown"));
    await until(() => expect(renewals(requests)).toBeGreaterThan(before));
  });

  test("that is lost is said, and the work can still be sent", async () => {
    const server = queue(1);
    sit();
    await opened(uuid(100));
    server.lapses = true;
    server.late = true;
    server.held = [];
    await seconds(LEASE / 3 + 1);
    await until(() => expect(desk.lapsed.value).toBe(true));
    dab();
    await desk.send();
    expect(server.sent).toHaveLength(1);
  });
});

test("a review is one tile, and done says so", async () => {
  const server = queue(1);
  server.complete = "2";
  sit("review");
  await opened(uuid(100));
  expect(desk.work.value?.bench.completeFor.value).toEqual([2]);
  dab();
  await desk.send();
  expect(server.sent[0].query.get("complete_for")).toBe("2");
  expect(done).toHaveBeenCalledOnce();
});

test("a review is given back where a tile would be skipped", async () => {
  const server = queue(1);
  sit("review");
  await opened(uuid(100));
  desk.actions.skip();
  expect(desk.dialog.value).toBeNull();
  await until(() => expect(server.requests).toContain("POST release"));
});

test("a view is told by the address and read from it", () => {
  expect(nameOfView({ left: -12.345, top: 0, scale: 3 })).toBe("-12.3,0,3");
  expect(namedView("-12.3,0,3")).toEqual({ left: -12.3, top: 0, scale: 3 });
  for (const wrong of [null, "", "1,2", "1,2,0", "a,b,c", "1,2,3,4"]) {
    expect(namedView(wrong)).toBeNull();
  }
});
