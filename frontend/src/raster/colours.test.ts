import { describe, expect, it } from "vitest";
import { HEAT, heat, lut, paintHeat, paintOverlay } from "./colours";
import { blotches, isSame, seeded } from "./seeded";
import type { Raster, Rect } from "./types";

const bytesOf = (pixel: number): number[] => [...new Uint8Array(Uint32Array.of(pixel).buffer)];

/** Relative luminance (WCAG). */
function luminance(pixel: number): number {
  const [r, g, b] = bytesOf(pixel).map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

describe("lut", () => {
  it("holds colours as ImageData does, background and hidden labels clear", () => {
    const table = lut(
      [
        { value: 1, colour: "#12abEF" },
        { value: 2, colour: "#ffffff", hidden: true },
      ],
      0.4,
    );
    expect(bytesOf(table[1])).toEqual([0x12, 0xab, 0xef, 102]);
    expect(table[0]).toBe(0);
    expect(table[2]).toBe(0);
    expect(bytesOf(table[255])[3]).toBe(102);
    expect(bytesOf(table[77])).toEqual([128, 128, 128, 102]);
  });
});

describe("paintOverlay", () => {
  const table = lut(["#e69f00", "#009e73", "#f0e442"].map((colour, n) => ({ value: n + 1, colour })), 0.5);

  function isContour({ width, height, data }: Raster, x: number, y: number): boolean {
    return [[-1, 0], [1, 0], [0, -1], [0, 1]].some(([dx, dy]) => {
      const [nx, ny] = [x + dx, y + dy];
      if (nx < 0 || ny < 0 || nx >= width || ny >= height) return false;
      return data[ny * width + nx] !== data[y * width + x];
    });
  }

  it("equals brute force for any part of the tile", () => {
    const random = seeded(80);
    const edge = table.map((pixel) => (pixel === 0 ? 0 : (pixel | 0xff000000) >>> 0));
    for (let run = 0; run < 60; run++) {
      const tile = blotches(random, 12 + random(20), 12 + random(20), 4);
      const rect: Rect = { x: random(9), y: random(9), w: 1 + random(4), h: 1 + random(4) };
      for (const mode of ["fill", "contour", "both"] as const) {
        const out = new Uint32Array(rect.w * rect.h).fill(1);
        paintOverlay(tile, rect, table, mode, out);
        const expected = out.map((_, i) => {
          const x = rect.x + (i % rect.w);
          const y = rect.y + Math.floor(i / rect.w);
          const value = tile.data[y * tile.width + x];
          if (mode !== "fill" && isContour(tile, x, y)) return edge[value];
          return mode === "contour" ? 0 : table[value];
        });
        expect(isSame(out, expected)).toBe(true);
      }
    }
  });

  it("hatches unknown, the same in whole and in parts", () => {
    const tile: Raster = { width: 32, height: 32, data: new Uint8Array(1024).fill(255) };
    const all = { x: 0, y: 0, w: 32, h: 32 };
    const out = new Uint32Array(1024);
    paintOverlay(tile, all, table, "fill", out);
    const strong = out.filter((pixel) => pixel === table[255]).length;
    expect(strong).toBe((1024 * 3) / 8);
    expect(out.every((pixel) => pixel !== 0)).toBe(true);
    const part = new Uint32Array(9);
    paintOverlay(tile, { x: 5, y: 7, w: 3, h: 3 }, table, "fill", part);
    expect(part[0]).toBe(out[7 * 32 + 5]);
    expect(part[8]).toBe(out[9 * 32 + 7]);
  });
});

describe("heat", () => {
  it("gets lighter all the way, in even steps, and is opaque", () => {
    for (let i = 1; i < 256; i++) {
      expect(luminance(HEAT[i])).toBeGreaterThanOrEqual(luminance(HEAT[i - 1]) - 0.001);
    }
    expect(luminance(HEAT[0])).toBeLessThan(0.02);
    expect(luminance(HEAT[255])).toBeGreaterThan(0.75);
    // CIE lightness against place: no step far from the even one
    const lightness = [0, 64, 128, 192, 255].map((i) => 116 * Math.cbrt(luminance(HEAT[i])) - 16);
    for (let i = 1; i < 5; i++) {
      expect(Math.abs(lightness[i] - lightness[i - 1] - 23)).toBeLessThan(7);
    }
    expect(HEAT.every((pixel) => pixel >>> 24 === 255)).toBe(true);
  });

  it("clamps, and draws a map only from its threshold on", () => {
    expect(heat(-3)).toBe(HEAT[0]);
    expect(heat(NaN)).toBe(HEAT[0]);
    expect(heat(9)).toBe(HEAT[255]);
    const out = new Uint32Array(4);
    paintHeat(Float32Array.of(0.1, 0.25, 0.5, NaN), 0.5, 0.2, 0.5, out);
    expect([...out].map((pixel) => pixel >>> 24)).toEqual([0, 128, 128, 0]);
    expect(out[2] & 0xffffff).toBe(HEAT[255] & 0xffffff);
  });
});
