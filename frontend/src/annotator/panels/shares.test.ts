import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { specimen } from "../specimen";
import { Workbench } from "../workbench";
import { shareText, watchShares } from "./shares";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function paint(bench: Workbench, x: number): void {
  bench.raster.data[x] = 1;
  bench.done({ rect: { x, y: 0, w: 1, h: 1 }, before: Uint8Array.of(0), after: Uint8Array.of(1) });
}

it("counts a busy hand's changes once in a while, and the last one surely", () => {
  const bench = new Workbench(specimen());
  const { counts, stop } = watchShares(bench);
  let told = 0;
  const unsubscribe = counts.subscribe(() => told++);
  for (let x = 0; x < 20; x++) {
    paint(bench, x);
    vi.advanceTimersByTime(10);
  }
  expect(told).toBe(1);
  vi.advanceTimersByTime(250);
  expect([told, counts.value[1], counts.value[0]]).toEqual([2, 20, 64 * 64 - 20]);
  paint(bench, 20);
  vi.advanceTimersByTime(250);
  expect(counts.value[1]).toBe(21);
  unsubscribe();
  stop();
});

it("stops", () => {
  const bench = new Workbench(specimen());
  const { counts, stop } = watchShares(bench);
  paint(bench, 0);
  stop();
  paint(bench, 1);
  vi.runAllTimers();
  expect(counts.value[1]).toBe(0);
});

it.each([
  [0, "–"],
  [1, "< 0.1 %"],
  [123, "12.3 %"],
  [1000, "100.0 %"],
])("says %i of 1000 as %s", (pixels, text) => {
  expect(shareText(pixels, pixels === 1 ? 4096 : 1000)).toBe(text);
});
