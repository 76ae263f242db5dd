/** Writing whole selections at once, and what may be overwritten. */
import { clip, cut } from "./rect";
import type { Change, Raster, Rect, Selection, Writable } from "./types";

/** What the protect switch says: everything, only pixels without a label, only one value. */
export interface Protection {
  readonly mode: "all" | "background" | "only";
  readonly value?: number | undefined;
}

/** Which values may be overwritten; locked values never are. */
export function writable(protection: Protection, locked: ReadonlySet<number>): Writable {
  const flags = new Uint8Array(256);
  if (protection.mode === "all") flags.fill(1);
  else if (protection.mode === "background") flags[0] = 1;
  else if (protection.value !== undefined) flags[protection.value] = 1;
  for (const value of locked) flags[value] = 0;
  return flags;
}

/** Sets the selected pixels to `value`; null if that changes nothing. */
export function apply(
  raster: Raster,
  selection: Selection,
  value: number,
  writable: Writable,
): Change | null {
  const { rect, bits } = selection;
  return write(raster, rect, writable, (_pixel, at) => (bits[at] === 0 ? -1 : value));
}

/** Sets one selection to `value` and clears another, as one step. */
export function applyEdit(
  raster: Raster,
  edit: { readonly set: Selection; readonly clear: Selection },
  value: number,
  writable: Writable,
): Change | null {
  const targets = new Int16Array(raster.data.length).fill(-1);
  for (const [selection, target] of [
    [edit.clear, 0],
    [edit.set, value],
  ] as const) {
    const { rect, bits } = selection;
    for (let i = 0; i < bits.length; i++) {
      if (bits[i] === 0) continue;
      const row = Math.floor(i / rect.w);
      targets[(rect.y + row) * raster.width + rect.x + i - row * rect.w] = target;
    }
  }
  const all = { x: 0, y: 0, w: raster.width, h: raster.height };
  return write(raster, all, writable, (pixel) => targets[pixel]);
}

/**
 * Takes the values of `other` (an array of the whole tile) inside `rect`; with `bits`
 * (a selection of `rect`'s size) only where they are 1. Null if that changes nothing.
 */
export function replace(
  raster: Raster,
  other: Uint8Array,
  rect: Rect,
  writable: Writable,
  bits?: Uint8Array,
): Change | null {
  return write(raster, rect, writable, (pixel, at) =>
    bits !== undefined && bits[at] === 0 ? -1 : other[pixel],
  );
}

/** `target` says what a pixel (index in the tile, index in `rect`) becomes; -1 leaves it. */
function write(
  raster: Raster,
  rect: Rect,
  writable: Writable,
  target: (pixel: number, at: number) => number,
): Change | null {
  const { width, height, data } = raster;
  const inside = clip(rect, width, height);
  if (inside === null) return null;
  const before = cut(data, width, inside);
  let left = inside.w;
  let right = -1;
  let top = inside.h;
  let bottom = -1;
  for (let row = 0; row < inside.h; row++) {
    const pixels = (inside.y + row) * width + inside.x;
    const ats = (inside.y + row - rect.y) * rect.w + inside.x - rect.x;
    for (let column = 0; column < inside.w; column++) {
      const pixel = pixels + column;
      const old = data[pixel];
      if (writable[old] === 0) continue;
      const value = target(pixel, ats + column);
      if (value < 0 || value === old) continue;
      data[pixel] = value;
      if (column < left) left = column;
      if (column > right) right = column;
      if (row < top) top = row;
      bottom = row;
    }
  }
  if (right < 0) return null;
  const tight = { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
  const box = { ...tight, x: inside.x + left, y: inside.y + top };
  return { rect: box, before: cut(before, inside.w, tight), after: cut(data, width, box) };
}
