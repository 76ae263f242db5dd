import { describe, expect, it } from "vitest";
import { apply, applyEdit, replace, writable } from "./apply";
import { holding } from "./rect";
import { blotches, isSame, raster, rowsOf, seeded } from "./seeded";

const ALL = writable({ mode: "all" }, new Set());

describe("writable", () => {
  it("follows the protect switch, and locks win", () => {
    const which = (flags: Uint8Array): number[] =>
      [...flags.keys()].filter((value) => flags[value] === 1);
    expect(which(ALL).length).toBe(256);
    expect(which(writable({ mode: "all" }, new Set([3, 255]))).length).toBe(254);
    expect(which(writable({ mode: "background" }, new Set()))).toEqual([0]);
    expect(which(writable({ mode: "only", value: 4 }, new Set()))).toEqual([4]);
    expect(which(writable({ mode: "only", value: 4 }, new Set([4])))).toEqual([]);
  });
});

describe("apply", () => {
  it("sets selected writable pixels and reports the tight change", () => {
    const tile = raster("0120", "0120", "0000");
    const selection = { rect: { x: 1, y: 0, w: 3, h: 2 }, bits: Uint8Array.of(1, 1, 0, 0, 1, 1) };
    const change = apply(tile, selection, 5, writable({ mode: "all" }, new Set([1])));
    expect(rowsOf(tile)).toEqual(["0150", "0155", "0000"]);
    expect(change).toEqual({
      rect: { x: 2, y: 0, w: 2, h: 2 },
      before: Uint8Array.of(2, 0, 2, 0),
      after: Uint8Array.of(5, 0, 5, 5),
    });
    expect(apply(tile, selection, 5, writable({ mode: "all" }, new Set([1])))).toBeNull();
  });

  it("clips a selection that reaches beyond the tile", () => {
    const tile = raster("00", "00");
    const selection = { rect: { x: -1, y: -1, w: 2, h: 2 }, bits: Uint8Array.of(0, 0, 0, 1) };
    expect(apply(tile, selection, 9, ALL)?.rect).toEqual({ x: 0, y: 0, w: 1, h: 1 });
    expect(rowsOf(tile)).toEqual(["90", "00"]);
  });
});

describe("applyEdit", () => {
  it("sets and clears in one step", () => {
    const tile = raster("1100", "0000");
    const one = (x: number, y: number) => ({ rect: { x, y, w: 1, h: 1 }, bits: Uint8Array.of(1) });
    const change = applyEdit(tile, { set: one(3, 1), clear: one(0, 0) }, 1, ALL);
    expect(rowsOf(tile)).toEqual(["0100", "0001"]);
    expect(change?.rect).toEqual({ x: 0, y: 0, w: 4, h: 2 });
    expect(change?.before).toEqual(Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0));
  });
});

describe("replace", () => {
  it("takes the other values inside the box, and only there", () => {
    const random = seeded(20);
    for (let run = 0; run < 50; run++) {
      const tile = blotches(random, 20, 17, 4);
      const other = blotches(random, 20, 17, 4).data;
      const before = tile.data.slice();
      const rect = { x: random(15), y: random(12), w: 1 + random(9), h: 1 + random(9) };
      const change = replace(tile, other, rect, ALL);
      const expected = before.map((value, i) => {
        const x = i % 20;
        const y = Math.floor(i / 20);
        const inside = x >= rect.x && x < rect.x + rect.w && y >= rect.y && y < rect.y + rect.h;
        return inside ? other[i] : value;
      });
      expect(isSame(tile.data, expected)).toBe(true);
      if (change !== null) expect(change.before).not.toEqual(change.after);
    }
  });

  it("accepts one label of a suggestion when given its selection", () => {
    const tile = raster("0030");
    const suggestion = raster("1121");
    const { rect, bits } = holding(suggestion, 1);
    replace(tile, suggestion.data, rect, ALL, bits);
    expect(rowsOf(tile)).toEqual(["1131"]);
  });
});
