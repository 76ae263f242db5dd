/** Random rasters for the tests, the same in every run. */
import type { Raster } from "./types";

/** A source of whole numbers below `bound` (mulberry32). */
export function seeded(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

/** A raster of blotches of the values 0 to `values` - 1. */
export function blotches(
  random: (bound: number) => number,
  width: number,
  height: number,
  values: number,
): Raster {
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) {
    const from = random(3);
    if (from === 0 && i % width > 0) data[i] = data[i - 1];
    else if (from === 1 && i >= width) data[i] = data[i - width];
    else data[i] = random(values);
  }
  return { width, height, data };
}

/** A raster from rows of digits. */
export function raster(...rows: string[]): Raster {
  const data = Uint8Array.from(rows.join(""), Number);
  return { width: rows[0].length, height: rows.length, data };
}

/** A raster as rows of digits. */
export function rowsOf({ width, data }: Raster): string[] {
  const rows: string[] = [];
  for (let i = 0; i < data.length; i += width) rows.push(data.slice(i, i + width).join(""));
  return rows;
}

/** Whether two arrays hold the same (`toEqual` takes seconds for a tile). */
export function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
