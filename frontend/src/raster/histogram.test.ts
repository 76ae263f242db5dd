import { describe, expect, it } from "vitest";
import { histogram } from "./histogram";

const all = (width: number, height: number) => ({ x: 0, y: 0, w: width, h: height });

describe("histogram", () => {
  it("counts the greys of the box alone, the last step with its end", () => {
    const grey = { width: 4, height: 2, data: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7) };
    expect([...histogram(grey, all(4, 2), { low: 0, high: 7 }, 7)]).toEqual([1, 1, 1, 1, 1, 1, 2]);
    expect([...histogram(grey, { x: 1, y: 1, w: 2, h: 1 }, { low: 0, high: 8 }, 4)]).toEqual([0, 0, 1, 1]);
  });

  it("takes 16 bits and reals, and leaves out what is outside or no number", () => {
    const wide = { width: 3, height: 1, data: Uint16Array.of(500, 40_000, 65_535) };
    expect([...histogram(wide, all(3, 1), { low: 0, high: 65_535 }, 2)]).toEqual([1, 2]);
    const real = { width: 4, height: 1, data: Float32Array.of(NaN, -1, 0.25, 2) };
    expect([...histogram(real, all(4, 1), { low: 0, high: 1 }, 2)]).toEqual([1, 0]);
  });

  it("of one grey is one step", () => {
    const flat = { width: 2, height: 2, data: Uint8Array.of(9, 9, 9, 9) };
    expect([...histogram(flat, all(2, 2), { low: 9, high: 9 }, 3)]).toEqual([4, 0, 0]);
  });
});
