import { describe, expect, it } from "vitest";
import { beginStroke, cancelStroke, disc, drag, endStroke, line, square, touch } from "./brush";
import { blotches, isSame, raster, rowsOf, seeded } from "./seeded";
import type { Raster } from "./types";

const ALL = new Uint8Array(256).fill(1);

function blank(width: number, height: number): Raster {
  return { width, height, data: new Uint8Array(width * height) };
}

describe("footprints", () => {
  it("of one pixel are one pixel, round or square", () => {
    for (const footprint of [disc(1), square(1)]) {
      const tile = blank(5, 5);
      expect(touch(tile, footprint, 2, 3, 7, ALL, null)).toEqual({ x: 2, y: 3, w: 1, h: 1 });
      expect(tile.data.reduce((sum, value) => sum + value)).toBe(7);
      expect(tile.data[3 * 5 + 2]).toBe(7);
    }
  });

  it("are the small discs everybody expects", () => {
    const drawn = (size: number): string[] => {
      const tile = blank(size, size);
      touch(tile, disc(size), size >> 1, size >> 1, 1, ALL, null);
      return rowsOf(tile);
    };
    expect(drawn(2)).toEqual(["11", "11"]);
    expect(drawn(3)).toEqual(["010", "111", "010"]);
    expect(drawn(4)).toEqual(["0110", "1111", "1111", "0110"]);
    expect(drawn(5)).toEqual(["01110", "11111", "11111", "11111", "01110"]);
  });

  it("are exactly as wide as asked and symmetric in both axes, even ones too", () => {
    for (let size = 1; size <= 256; size++) {
      const { spans } = disc(size);
      const half = size >> 1;
      let widest = 0;
      let isRegular = spans.length === size * 3;
      for (let row = 0; row < size; row++) {
        const [dy, x0, x1] = spans.subarray(row * 3, row * 3 + 3);
        const mirror = (size - 1 - row) * 3;
        isRegular &&= spans[mirror + 1] === x0 && spans[mirror + 2] === x1;
        isRegular &&= dy === row - half && x0 + x1 === size - 2 * half && x1 > x0;
        widest = Math.max(widest, x1 - x0);
      }
      expect([size, isRegular, widest]).toEqual([size, true, size]);
    }
  });
});

describe("line", () => {
  it("joins its ends without gaps", () => {
    const random = seeded(1);
    for (let run = 0; run < 300; run++) {
      const [x0, y0, x1, y1] = [0, 0, 0, 0].map(() => random(80) - 40);
      const points = [...line(x0, y0, x1, y1)];
      expect(points[0]).toEqual([x0, y0]);
      expect(points.at(-1)).toEqual([x1, y1]);
      expect(points.length).toBe(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)) + 1);
      for (let i = 1; i < points.length; i++) {
        const step = points[i].map((place, axis) => Math.abs(place - points[i - 1][axis]));
        expect(Math.max(...step)).toBe(1);
      }
    }
  });
});

describe("touch and drag", () => {
  it("respect what is writable and what lies within", () => {
    const tile = raster("0123", "0123", "0123");
    const writable = new Uint8Array(256).fill(1);
    writable[2] = 0;
    const within = Uint8Array.from([1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]);
    const rect = touch(tile, square(9), 1, 1, 5, writable, null, within);
    expect(rowsOf(tile)).toEqual(["5525", "0525", "5525"]);
    expect(rect).toEqual({ x: 0, y: 0, w: 4, h: 3 });
    expect(touch(tile, square(9), 1, 1, 5, writable, null, within)).toBeNull();
    expect(touch(tile, disc(3), -20, 40, 5, writable, null)).toBeNull();
  });

  it("a drag paints what single dabs paint, in a box that holds all changes", () => {
    const random = seeded(2);
    for (let run = 0; run < 150; run++) {
      const size = 1 + random(30);
      const footprint = random(2) === 0 ? disc(size) : square(size);
      const one = blotches(random, 90, 70, 5);
      const two: Raster = { ...one, data: one.data.slice() };
      const before = one.data.slice();
      const writable = new Uint8Array(256).fill(1);
      writable[random(5)] = 0;
      const within = one.data.map(() => (random(4) > 0 ? 1 : 0));
      const [x0, y0, x1, y1] = [130, 110, 130, 110].map((bound) => random(bound) - 20);
      const rect = drag(one, footprint, x0, y0, x1, y1, 3, writable, null, within);
      for (const [x, y] of line(x0, y0, x1, y1)) {
        touch(two, footprint, x, y, 3, writable, null, within);
      }
      expect(isSame(one.data, two.data)).toBe(true);
      expect(rect).toEqual(tight(before, one));
    }
  });
});

describe("strokes", () => {
  it("give one tight step with the bytes before and after", () => {
    const random = seeded(3);
    for (let run = 0; run < 60; run++) {
      const tile = blotches(random, 150, 131, 4);
      const before = tile.data.slice();
      const stroke = beginStroke(tile);
      for (let dabs = 0; dabs < 12; dabs++) {
        const footprint = disc(1 + random(40));
        touch(tile, footprint, random(170) - 10, random(150) - 10, random(4), ALL, stroke);
      }
      const change = endStroke(stroke);
      expect(change?.rect ?? null).toEqual(tight(before, tile));
      if (change === null) continue;
      const { x, y, w, h } = change.rect;
      const rows: boolean[] = [];
      for (let row = 0; row < h; row++) {
        const at = (y + row) * tile.width + x;
        rows.push(isSame(change.before.slice(row * w, row * w + w), before.slice(at, at + w)));
        rows.push(isSame(change.after.slice(row * w, row * w + w), tile.data.slice(at, at + w)));
      }
      expect(rows).not.toContain(false);
      cancelStroke(stroke);
      expect(isSame(tile.data, before)).toBe(true);
    }
  });

  it("that change nothing are no step", () => {
    const tile = blank(100, 100);
    const stroke = beginStroke(tile);
    touch(tile, disc(20), 50, 50, 0, ALL, stroke);
    touch(tile, disc(20), 50, 50, 1, ALL, stroke);
    touch(tile, disc(20), 50, 50, 0, ALL, stroke);
    expect(endStroke(stroke)).toBeNull();
  });

  it("keep only the blocks they touch", () => {
    const stroke = beginStroke(blank(2048, 2048));
    touch(stroke.raster, disc(64), 1000, 1000, 1, ALL, stroke);
    expect(stroke.blocks.filter((block) => block !== undefined).length).toBeLessThanOrEqual(4);
  });
});

function tight(before: Uint8Array, { width, data }: Raster): object | null {
  const xs: number[] = [];
  const ys: number[] = [];
  data.forEach((value, i) => {
    if (value === before[i]) return;
    xs.push(i % width);
    ys.push(Math.floor(i / width));
  });
  if (xs.length === 0) return null;
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, w: Math.max(...xs) - x + 1, h: Math.max(...ys) - y + 1 };
}
