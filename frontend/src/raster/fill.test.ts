import { describe, expect, it } from "vitest";
import { components, holes, region, specks } from "./fill";
import { countOf, flagsOf } from "./rect";
import { blotches, isSame, raster, seeded } from "./seeded";
import type { Raster, Selection } from "./types";

/** The selection as a tile-sized array. */
function spreadOut({ rect, bits }: Selection, { width, data }: Raster): Uint8Array {
  const out = new Uint8Array(data.length);
  bits.forEach((bit, i) => {
    out[(rect.y + Math.floor(i / rect.w)) * width + rect.x + (i % rect.w)] = bit;
  });
  return out;
}

/** Plain search, one pixel after another. */
function search(flags: Uint8Array, width: number, start: number, diagonal: boolean): Uint8Array {
  const out = new Uint8Array(flags.length);
  const queue = [start];
  out[start] = 1;
  for (const at of queue) {
    for (let next = 0; next < flags.length; next++) {
      if (out[next] === 1 || flags[next] === 0) continue;
      const dx = Math.abs((next % width) - (at % width));
      const dy = Math.abs(Math.floor(next / width) - Math.floor(at / width));
      if (diagonal ? Math.max(dx, dy) === 1 : dx + dy === 1) {
        out[next] = 1;
        queue.push(next);
      }
    }
  }
  return out;
}

describe("region", () => {
  it("equals brute force", () => {
    const random = seeded(30);
    for (let run = 0; run < 80; run++) {
      const tile = blotches(random, 1 + random(24), 1 + random(24), 3);
      const start = random(tile.data.length);
      const [x, y] = [start % tile.width, Math.floor(start / tile.width)];
      const expected = search(flagsOf(tile.data, tile.data[start]), tile.width, start, false);
      const found = region(tile, x, y);
      expect(isSame(spreadOut(found, tile), expected)).toBe(true);
      expect(found.bits.length).toBe(found.rect.w * found.rect.h);
    }
  });

  it("outside the tile is nothing", () => {
    expect(countOf(region(raster("00"), 2, 0))).toBe(0);
  });
});

describe("components", () => {
  it("equal brute force in ids, areas and boxes, for both kinds of neighbours", () => {
    const random = seeded(31);
    for (let run = 0; run < 40; run++) {
      const tile = blotches(random, 1 + random(20), 1 + random(20), 2);
      for (const neighbours of [4, 8] as const) {
        const { ids, parts } = components(tile.data, tile.width, tile.height, neighbours);
        const expected = new Int32Array(ids.length);
        let count = 0;
        tile.data.forEach((flag, i) => {
          if (flag === 0 || expected[i] !== 0) return;
          count++;
          search(tile.data, tile.width, i, neighbours === 8).forEach((bit, at) => {
            if (bit === 1) expected[at] = count;
          });
        });
        expect(isSame(ids, expected)).toBe(true);
        expect(parts.length).toBe(count);
        parts.forEach((part, index) => {
          expect(part.area).toBe(ids.filter((id) => id === index + 1).length);
          expect(ids[part.y * tile.width + part.x]).toBe(index + 1);
        });
      }
    }
  });
});

describe("holes", () => {
  it("are enclosed pixels, not those open to the edge or of a diagonal leak", () => {
    const ring = ["0111110", "0100010", "0102010", "0100010", "0111110"];
    const tile = raster(...ring, "1010000", "0100000");
    const found = holes(tile, 1);
    expect(found.rect).toEqual({ x: 1, y: 1, w: 4, h: 5 });
    // the ring's 3x3 inside and the pixel below it that only diagonals leave
    expect(countOf(found)).toBe(10);
  });

  it("of a full or an empty tile are nothing", () => {
    expect(countOf(holes(raster("11", "11"), 1))).toBe(0);
    expect(countOf(holes(raster("00", "00"), 1))).toBe(0);
  });
});

describe("specks", () => {
  it("are small parts; a slanting line is one part", () => {
    const tile = raster("10000", "01000", "00100", "00000", "10011");
    expect(countOf(specks(tile, 1, 2))).toBe(1);
    expect(countOf(specks(tile, 1, 3))).toBe(3);
    expect(countOf(specks(tile, 1, 4))).toBe(6);
    expect(countOf(specks(tile, 1, 1))).toBe(0);
  });
});
