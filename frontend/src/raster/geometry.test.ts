import { describe, expect, it } from "vitest";
import { polygon } from "./polygon";
import type { Point } from "./polygon";
import { clip, holding, union, widened } from "./rect";
import { scaleBar } from "./scalebar";
import { raster, seeded } from "./seeded";
import { shares } from "./shares";
import { between } from "./threshold";

function isInside(points: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  points.forEach((a, i) => {
    const b = points[(i + 1) % points.length];
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) inside = !inside;
  });
  return inside;
}

describe("polygon", () => {
  it("takes the pixels whose centres are inside, like brute force", () => {
    const random = seeded(40);
    for (let run = 0; run < 150; run++) {
      const points = Array.from({ length: 3 + random(7) }, () => ({
        x: (random(4000) - 1000) / 70,
        y: (random(4000) - 1000) / 70,
      }));
      const found = polygon(points, 30, 25);
      let wrong = 0;
      for (let y = 0; y < 25; y++) {
        for (let x = 0; x < 30; x++) {
          const { rect, bits } = found ?? { rect: { x: 0, y: 0, w: 0, h: 0 }, bits: [] };
          const within =
            x >= rect.x && y >= rect.y && x < rect.x + rect.w && y < rect.y + rect.h &&
            bits[(y - rect.y) * rect.w + x - rect.x] === 1;
          if (within !== isInside(points, x + 0.5, y + 0.5)) wrong++;
        }
      }
      expect(wrong).toBe(0);
    }
  });

  it("of whole corners is exactly its rectangle", () => {
    const corners = [
      { x: 2, y: 1 },
      { x: 5, y: 1 },
      { x: 5, y: 3 },
      { x: 2, y: 3 },
    ];
    const found = polygon(corners, 9, 9);
    expect(found?.rect).toEqual({ x: 2, y: 1, w: 3, h: 2 });
    expect(found?.bits).toEqual(new Uint8Array(6).fill(1));
  });

  it("too small or outside is null", () => {
    expect(polygon([{ x: 0, y: 0 }, { x: 9, y: 9 }], 9, 9)).toBeNull();
    const away = [{ x: 20, y: 20 }, { x: 30, y: 20 }, { x: 20, y: 30 }];
    expect(polygon(away, 9, 9)).toBeNull();
  });
});

describe("boxes", () => {
  it("clip, unite and widen", () => {
    expect(clip({ x: -5, y: 2, w: 8, h: 90 }, 10, 10)).toEqual({ x: 0, y: 2, w: 3, h: 8 });
    expect(clip({ x: 10, y: 0, w: 3, h: 3 }, 10, 10)).toBeNull();
    const one = { x: 1, y: 1, w: 2, h: 2 };
    expect(union(one, null)).toEqual(one);
    expect(union(one, { x: 5, y: 0, w: 1, h: 1 })).toEqual({ x: 1, y: 0, w: 5, h: 3 });
    expect(widened(one, 2, 4, 10)).toEqual({ x: 0, y: 0, w: 4, h: 5 });
  });

  it("hold a value", () => {
    const found = holding(raster("000", "070", "700"), 7);
    expect(found).toEqual({ rect: { x: 0, y: 1, w: 2, h: 2 }, bits: Uint8Array.of(0, 1, 1, 0) });
  });
});

describe("scaleBar", () => {
  it("is the longest round length that fits", () => {
    expect(scaleBar(4, 1, 150)).toEqual({ nm: 500, screenPixels: 125, text: "500 nm" });
    expect(scaleBar(10, 1, 100)).toEqual({ nm: 1000, screenPixels: 100, text: "1 µm" });
    expect(scaleBar(8, 0.25, 100).text).toBe("2 µm");
    expect(scaleBar(0.4, 40, 100).text).toBe("1 nm");
    for (let nmPerPixel = 0.13; nmPerPixel < 2000; nmPerPixel *= 1.37) {
      for (const zoom of [0.05, 0.33, 1, 7, 64]) {
        const { nm, screenPixels } = scaleBar(nmPerPixel, zoom, 120);
        expect(screenPixels).toBeLessThanOrEqual(120.001);
        expect(screenPixels).toBeGreaterThan(120 / 2.51);
        expect(screenPixels).toBeCloseTo((nm / nmPerPixel) * zoom, 6);
      }
    }
  });
});

describe("counting", () => {
  it("shares and between", () => {
    const counts = shares(raster("0012", "2220"));
    expect(counts.slice(0, 4)).toEqual(Uint32Array.of(3, 1, 4, 0));
    expect(between(Uint8Array.of(1, 2, 3, 4, 5), 2, 4)).toEqual(Uint8Array.of(0, 1, 1, 1, 0));
    expect(between(Float32Array.of(NaN, 0.5), 0, 1)).toEqual(Uint8Array.of(0, 1));
  });
});
