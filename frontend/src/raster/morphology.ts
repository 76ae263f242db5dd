/** Grow, shrink and smooth what holds a value. */
import { disc } from "./brush";
import { NOTHING, flagsOf, select } from "./rect";
import type { Raster, Selection } from "./types";

/** What an operation asks for: pixels to set to the value and pixels to clear. */
export interface Edit {
  readonly set: Selection;
  readonly clear: Selection;
}

/** Adds the pixels at most `pixels` away from the value. */
export function grow(raster: Raster, value: number, pixels: number): Edit {
  const inside = flagsOf(raster.data, value);
  const near = spread(inside, raster.width, raster.height, pixels);
  for (let i = 0; i < near.length; i++) if (inside[i] === 1) near[i] = 0;
  return { set: select(near, raster.width, raster.height), clear: NOTHING };
}

/** Clears the pixels of the value at most `pixels` away from others; the tile's edge is none. */
export function shrink(raster: Raster, value: number, pixels: number): Edit {
  const inside = flagsOf(raster.data, value);
  const outside = inside.map((flag) => 1 - flag);
  const near = spread(outside, raster.width, raster.height, pixels);
  for (let i = 0; i < near.length; i++) if (inside[i] === 0) near[i] = 0;
  return { set: NOTHING, clear: select(near, raster.width, raster.height) };
}

/** Follows the majority of each pixel's 3x3 surroundings; edge pixels are repeated. */
export function smooth(raster: Raster, value: number): Edit {
  const { width, height } = raster;
  const inside = flagsOf(raster.data, value);
  const set = new Uint8Array(inside.length);
  const clear = new Uint8Array(inside.length);
  const across = new Uint8Array(inside.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      across[i] = inside[x > 0 ? i - 1 : i] + inside[i] + inside[x < width - 1 ? i + 1 : i];
    }
  }
  for (let y = 0, i = 0; y < height; y++) {
    const up = y > 0 ? width : 0;
    const down = y < height - 1 ? width : 0;
    for (let x = 0; x < width; x++, i++) {
      const majority = across[i - up] + across[i] + across[i + down] >= 5;
      if (majority && inside[i] === 0) set[i] = 1;
      if (!majority && inside[i] === 1) clear[i] = 1;
    }
  }
  return { set: select(set, width, height), clear: select(clear, width, height) };
}

/** 1 at most `pixels` away from a 1: a disc stamped on every pixel of the rim. */
function spread(flags: Uint8Array, width: number, height: number, pixels: number): Uint8Array {
  const out = flags.slice();
  const { spans } = disc(2 * pixels + 1);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (flags[i] === 0 || !isRim(flags, width, height, x, y)) continue;
      for (let s = 0; s < spans.length; s += 3) {
        const row = y + spans[s];
        if (row < 0 || row >= height) continue;
        const from = Math.max(0, x + spans[s + 1]);
        const to = Math.min(width, x + spans[s + 2]);
        out.fill(1, row * width + from, row * width + to);
      }
    }
  }
  return out;
}

function isRim(flags: Uint8Array, width: number, height: number, x: number, y: number): boolean {
  const i = y * width + x;
  return (
    (x > 0 && flags[i - 1] === 0) ||
    (x < width - 1 && flags[i + 1] === 0) ||
    (y > 0 && flags[i - width] === 0) ||
    (y < height - 1 && flags[i + width] === 0)
  );
}
