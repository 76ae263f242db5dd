/** Boxes of whole pixels and the selections that live in them. */
import type { Raster, Rect, Selection } from "./types";

/** The selection of no pixel. */
export const NOTHING: Selection = { rect: { x: 0, y: 0, w: 0, h: 0 }, bits: new Uint8Array(0) };

/** The part of `rect` inside a width x height tile, or null if there is none. */
export function clip(rect: Rect, width: number, height: number): Rect | null {
  const x = Math.max(0, rect.x);
  const y = Math.max(0, rect.y);
  const w = Math.min(width, rect.x + rect.w) - x;
  const h = Math.min(height, rect.y + rect.h) - y;
  return w > 0 && h > 0 ? { x, y, w, h } : null;
}

/** The smallest box around both; null stands for no pixel. */
export function union(a: Rect | null, b: Rect | null): Rect | null {
  if (a === null || b === null) return a ?? b;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    w: Math.max(a.x + a.w, b.x + b.w) - x,
    h: Math.max(a.y + a.h, b.y + b.h) - y,
  };
}

/** `rect` with `margin` pixels more on each side, within the tile. */
export function widened(rect: Rect, margin: number, width: number, height: number): Rect {
  const wide = {
    x: rect.x - margin,
    y: rect.y - margin,
    w: rect.w + 2 * margin,
    h: rect.h + 2 * margin,
  };
  return clip(wide, width, height) ?? { x: 0, y: 0, w: 0, h: 0 };
}

/** The values of `rect`, cut out of an array with `width` pixels a row. */
export function cut(data: Uint8Array, width: number, rect: Rect): Uint8Array {
  const out = new Uint8Array(rect.w * rect.h);
  for (let row = 0; row < rect.h; row++) {
    const from = (rect.y + row) * width + rect.x;
    out.set(data.subarray(from, from + rect.w), row * rect.w);
  }
  return out;
}

/** The tight selection of the pixels that are not 0 in a tile-sized array. */
export function select(flags: Uint8Array, width: number, height: number): Selection {
  let left = width;
  let right = -1;
  let top = height;
  let bottom = -1;
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let x = 0;
    while (x < width && flags[row + x] === 0) x++;
    if (x === width) continue;
    if (x < left) left = x;
    x = width - 1;
    while (flags[row + x] === 0) x--;
    if (x > right) right = x;
    if (top === height) top = y;
    bottom = y;
  }
  if (right < 0) return NOTHING;
  const rect = { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
  const bits = cut(flags, width, rect);
  for (let i = 0; i < bits.length; i++) bits[i] = bits[i] === 0 ? 0 : 1;
  return { rect, bits };
}

/** All pixels that hold `value`: what "accept" and "clear" of one label act on. */
export function holding(raster: Raster, value: number): Selection {
  return select(flagsOf(raster.data, value), raster.width, raster.height);
}

/** 1 where `data` is `value`, else 0. */
export function flagsOf(data: Uint8Array, value: number): Uint8Array {
  const flags = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) flags[i] = data[i] === value ? 1 : 0;
  return flags;
}

/** How many pixels a selection holds. */
export function countOf(selection: Selection): number {
  let count = 0;
  for (const bit of selection.bits) count += bit;
  return count;
}
