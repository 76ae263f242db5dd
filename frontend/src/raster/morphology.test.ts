import { describe, expect, it } from "vitest";
import { grow, shrink, smooth } from "./morphology";
import { blotches, isSame, raster, rowsOf, seeded } from "./seeded";
import type { Raster, Selection } from "./types";

function spreadOut({ rect, bits }: Selection, { width, data }: Raster): Uint8Array {
  const out = new Uint8Array(data.length);
  bits.forEach((bit, i) => {
    out[(rect.y + Math.floor(i / rect.w)) * width + rect.x + (i % rect.w)] = bit;
  });
  return out;
}

/** 1 where a pixel for which `holds` lies at most `pixels` + 1/4 away. */
function near(tile: Raster, pixels: number, holds: (value: number) => boolean): Uint8Array {
  const { width, data } = tile;
  return data.map((_, i) =>
    data.some(
      (value, j) =>
        holds(value) &&
        ((i % width) - (j % width)) ** 2 +
          (Math.floor(i / width) - Math.floor(j / width)) ** 2 <=
          (pixels + 0.25) ** 2,
    )
      ? 1
      : 0,
  );
}

describe("grow and shrink", () => {
  it("equal brute force", () => {
    const random = seeded(60);
    for (let run = 0; run < 40; run++) {
      const tile = blotches(random, 1 + random(22), 1 + random(22), 3);
      const pixels = 1 + random(4);
      const grown = near(tile, pixels, (value) => value === 1);
      const added = grown.map((bit, i) => (tile.data[i] === 1 ? 0 : bit));
      expect(isSame(spreadOut(grow(tile, 1, pixels).set, tile), added)).toBe(true);
      expect(grow(tile, 1, pixels).clear.bits.length).toBe(0);
      const eaten = near(tile, pixels, (value) => value !== 1);
      const lost = eaten.map((bit, i) => (tile.data[i] === 1 ? bit : 0));
      expect(isSame(spreadOut(shrink(tile, 1, pixels).clear, tile), lost)).toBe(true);
    }
  });
});

describe("smooth", () => {
  it("fills notches, takes off spikes and leaves straight edges, also at the tile's", () => {
    const tile = raster("11110000", "10110000", "11111000", "11110000", "11110000");
    const { set, clear } = smooth(tile, 1);
    spreadOut(set, tile).forEach((bit, i) => bit === 1 && (tile.data[i] = 1));
    spreadOut(clear, tile).forEach((bit, i) => bit === 1 && (tile.data[i] = 0));
    expect(rowsOf(tile)).toEqual(["11110000", "11110000", "11110000", "11110000", "11110000"]);
    const again = smooth(tile, 1);
    expect(again.set.bits.length + again.clear.bits.length).toBe(0);
  });
});
