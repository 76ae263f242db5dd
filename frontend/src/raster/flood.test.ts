import { describe, expect, it } from "vitest";
import { superpixelAt, superpixels } from "./superpixels";
import { components } from "./fill";
import { countOf } from "./rect";
import { isSame, seeded } from "./seeded";
import { wand } from "./wand";
import { watershed } from "./watershed";

/** Two flat halves with noise, the edge at column `edge`. */
function halves(width: number, height: number, edge: number, noise: number): Uint8Array {
  const random = seeded(50);
  return Uint8Array.from({ length: width * height }, (_, i) =>
    i % width < edge ? 60 + random(noise) : 180 + random(noise),
  );
}

function noisy(width: number, height: number, seed: number): Uint8Array {
  const random = seeded(seed);
  return Uint8Array.from({ length: width * height }, () => random(256));
}

describe("watershed", () => {
  it("gives every pixel a value of the seeds, connected to a seed of it", () => {
    const random = seeded(51);
    for (let run = 0; run < 40; run++) {
      const [width, height] = [20 + random(40), 20 + random(40)];
      const grey = noisy(width, height, run);
      const seeds = new Uint8Array(width * height);
      const window = { x: random(10), y: random(10), w: 5 + random(10), h: 5 + random(10) };
      const given = new Set<number>();
      for (let i = 0; i <= random(5); i++) {
        const value = 1 + random(255);
        const at = [window.x + random(window.w), window.y + random(window.h)];
        seeds[at[1] * width + at[0]] = value;
      }
      for (let y = 0; y < window.h; y++) {
        for (let x = 0; x < window.w; x++) {
          const value = seeds[(window.y + y) * width + window.x + x];
          if (value > 0) given.add(value);
        }
      }
      const values = watershed(grey, width, height, seeds, window);
      expect(values.length).toBe(window.w * window.h);
      expect(new Set(values)).toEqual(given);
      for (const value of given) {
        const flags = values.map((held) => (held === value ? 1 : 0));
        const { ids, parts } = components(flags, window.w, window.h, 4);
        const seededParts = new Set<number>();
        ids.forEach((id, i) => {
          const x = window.x + (i % window.w);
          const y = window.y + Math.floor(i / window.w);
          if (seeds[y * width + x] === value) seededParts.add(id);
        });
        expect(seededParts.size).toBe(parts.length);
      }
    }
  });

  it("meets at the edge of the grey, wherever the scribbles are", () => {
    const grey = halves(80, 40, 30, 20);
    const seeds = new Uint8Array(80 * 40);
    seeds[20 * 80 + 4] = 1;
    seeds[22 * 80 + 75] = 2;
    const values = watershed(grey, 80, 40, seeds, { x: 0, y: 0, w: 80, h: 40 });
    let wrong = 0;
    values.forEach((value, i) => {
      const column = i % 80;
      if (Math.abs(column - 29.5) > 2 && value !== (column < 30 ? 1 : 2)) wrong++;
    });
    expect(wrong).toBe(0);
  });

  it("leaves a window without a seed at 0", () => {
    const grey = noisy(30, 30, 1);
    const seeds = new Uint8Array(900);
    seeds[0] = 9;
    const values = watershed(grey, 30, 30, seeds, { x: 5, y: 5, w: 20, h: 20 });
    expect(values.some((value) => value !== 0)).toBe(false);
  });
});

describe("superpixels", () => {
  it("cut any tile into connected areas of about the size asked, always the same", () => {
    for (const [width, height, size] of [[100, 70, 10], [64, 64, 16], [7, 5, 16], [33, 90, 4]]) {
      const grey = noisy(width, height, width);
      const map = superpixels(grey, width, height, size);
      expect(isSame(map, superpixels(grey, width, height, size))).toBe(true);
      const count = Math.max(1, Math.round(width / size)) * Math.max(1, Math.round(height / size));
      expect(new Set(map).size).toBe(count);
      expect(Math.min(...map)).toBe(0);
      expect(Math.max(...map)).toBe(count - 1);
      for (let id = 0; id < count; id++) {
        const flags = Uint8Array.from(map, (held) => (held === id ? 1 : 0));
        expect(components(flags, width, height, 4).parts.length).toBe(1);
      }
    }
  });

  it("follow edges: no superpixel lies on both sides of a clear one", () => {
    const grey = halves(120, 60, 53, 10);
    const map = superpixels(grey, 120, 60, 12);
    const left = new Map<number, number>();
    const right = new Map<number, number>();
    map.forEach((id, i) => {
      const column = i % 120;
      const side = column < 53 ? left : right;
      side.set(id, (side.get(id) ?? 0) + 1);
    });
    let spilt = 0;
    for (const [id, count] of left) spilt += Math.min(count, right.get(id) ?? 0);
    // the edge is 60 px long: at most two pixels a row end on its wrong side
    expect(spilt).toBeLessThanOrEqual(120);
  });

  it("are picked whole", () => {
    const map = superpixels(noisy(50, 50, 3), 50, 50, 10);
    const found = superpixelAt(map, 50, 50, 25, 31);
    expect(countOf(found)).toBe(map.filter((id) => id === map[31 * 50 + 25]).length);
  });
});

describe("wand", () => {
  it("stops at an edge and at its radius", () => {
    const grey = halves(100, 60, 50, 12);
    const found = wand(grey, 100, 60, 40, 30, 25, 20);
    expect(found.rect.x).toBe(20);
    expect(found.rect.y).toBe(10);
    expect(found.rect.x + found.rect.w).toBeLessThanOrEqual(51);
    expect(countOf(found)).toBeGreaterThan(0.7 * Math.PI * 400);
  });

  it("takes the pointer's pixel alone when nothing is alike, and nothing outside the tile", () => {
    const grey = Uint8Array.from({ length: 100 }, (_, i) => (i % 10) * 25);
    const found = wand(grey, 10, 10, 4, 4, 0, 0);
    expect(found).toEqual({ rect: { x: 4, y: 4, w: 1, h: 1 }, bits: Uint8Array.of(1) });
    expect(countOf(wand(grey, 10, 10, -1, 4, 255, 50))).toBe(0);
    expect(countOf(wand(grey, 10, 10, 9, 0, 255, 50))).toBe(100);
  });
});
