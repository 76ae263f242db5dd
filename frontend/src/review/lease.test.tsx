import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { specimen } from "../annotator/specimen";
import { api } from "../api/client";
import { useLease } from "./lease";

const LEASE = 900;
const { task } = specimen();
const main = document.createElement("main");

function Holder() {
  useLease(task, LEASE);
  return null;
}
const pass = (seconds: number) => vi.advanceTimersByTimeAsync(1000 * seconds);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  vi.spyOn(api, "POST").mockImplementation((() => {
    const until = new Date(Date.now() + 1000 * LEASE).toISOString();
    return Promise.resolve({ data: { ...task, lease_until: until }, response: new Response() });
  }) as never);
});
afterEach(async () => {
  await act(() => render(null, main));
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("is kept while one does something, and ends when one has gone away", async () => {
  await act(() => render(<Holder />, main));
  for (let minutes = 0; minutes < 60; minutes++) {
    await pass(60);
    dispatchEvent(new Event("pointermove"));
  }
  expect(vi.mocked(api.POST).mock.calls.length).toBeGreaterThan(10);
  await pass(LEASE);
  vi.mocked(api.POST).mockClear();
  // the page lies open in front
  await pass(10 * LEASE);
  expect(api.POST).not.toHaveBeenCalled();
  dispatchEvent(new Event("pointerdown"));
  await pass(1);
  expect(api.POST).toHaveBeenCalledOnce();
});
