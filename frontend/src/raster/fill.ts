/** Connected pixels: fill, holes, specks. */
import { NOTHING, flagsOf, select } from "./rect";
import type { Raster, Rect, Selection } from "./types";

/** The 4-connected pixels around (x, y) that hold the same value. */
export function region(raster: Raster, x: number, y: number): Selection {
  return connected(raster.data, raster.width, raster.height, x, y);
}

/** The 4-connected entries around (x, y) that equal the one there, by scanlines. */
export function connected(
  data: Uint8Array | Int32Array,
  width: number,
  height: number,
  x: number,
  y: number,
): Selection {
  if (x < 0 || y < 0 || x >= width || y >= height) return NOTHING;
  const value = data[y * width + x];
  const seen = new Uint8Array(width * height);
  const stack = [y * width + x];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (seen[at] === 1) continue;
    const row = Math.floor(at / width);
    const start = row * width;
    let left = at;
    while (left > start && data[left - 1] === value) left--;
    let right = at + 1;
    while (right < start + width && data[right] === value) right++;
    seen.fill(1, left, right);
    for (const next of [row - 1, row + 1]) {
      if (next < 0 || next >= height) continue;
      const shift = (next - row) * width;
      let open = false;
      for (let i = left + shift; i < right + shift; i++) {
        const free = data[i] === value && seen[i] === 0;
        if (free && !open) stack.push(i);
        open = free;
      }
    }
  }
  return select(seen, width, height);
}

/** The pixels enclosed by `value` that hold another one (they reach no edge of the tile). */
export function holes(raster: Raster, value: number): Selection {
  const { width, height } = raster;
  const others = flagsOf(raster.data, value);
  for (let i = 0; i < others.length; i++) others[i] ^= 1;
  const { ids, parts } = components(others, width, height, 4);
  const enclosed = parts.map((part) => !touchesEdge(part.rect, width, height));
  return pick(ids, enclosed, width, height);
}

/** The parts of `value` with fewer than `smallerThan` pixels; diagonal neighbours hold together. */
export function specks(raster: Raster, value: number, smallerThan: number): Selection {
  const { width, height } = raster;
  // 8-connected: a slanting membrane one pixel wide is one part, not a row of specks
  const { ids, parts } = components(flagsOf(raster.data, value), width, height, 8);
  const small = parts.map((part) => part.area < smallerThan);
  return pick(ids, small, width, height);
}

/** One connected part: its size, its box and its first pixel in reading order. */
export interface Part {
  readonly area: number;
  readonly rect: Rect;
  readonly x: number;
  readonly y: number;
}

/** Parts in reading order; `ids` holds 0, or 1 + the index of the pixel's part. */
export interface Components {
  readonly ids: Int32Array;
  readonly parts: readonly Part[];
}

/** The connected parts of the pixels that are not 0: runs of each row, joined to those above. */
export function components(
  flags: Uint8Array,
  width: number,
  height: number,
  neighbours: 4 | 8,
): Components {
  const slack = neighbours === 8 ? 1 : 0;
  const starts: number[] = [];
  const ends: number[] = [];
  const parents: number[] = [];
  const find = (run: number): number => {
    let root = run;
    while (parents[root] !== root) root = parents[root] = parents[parents[root]];
    return root;
  };
  // the runs of the row above are those from `above` to `below`
  for (let y = 0, above = 0, below = 0; y < height; y++, above = below, below = starts.length) {
    const end = (y + 1) * width;
    let upper = above;
    for (let i = y * width; i < end; i++) {
      if (flags[i] === 0) continue;
      const start = i;
      while (i < end && flags[i] !== 0) i++;
      const run = starts.length;
      starts.push(start);
      ends.push(i);
      parents.push(run);
      while (upper < below && ends[upper] + width <= start - slack) upper++;
      for (let up = upper; up < below && starts[up] + width < i + slack; up++) {
        const low = Math.min(find(up), find(run));
        parents[find(up)] = low;
        parents[find(run)] = low;
      }
    }
  }
  const ids = new Int32Array(width * height);
  const roots = parents.map((_, run) => find(run));
  return { ids, parts: number(ids, starts, ends, roots, width) };
}

/** Numbers the parts; a root is the first run of its part. */
function number(
  ids: Int32Array,
  starts: readonly number[],
  ends: readonly number[],
  roots: readonly number[],
  width: number,
): Part[] {
  const order = new Int32Array(roots.length);
  const found: { area: number; x: number; y: number; left: number; right: number; last: number }[] =
    [];
  roots.forEach((root, run) => {
    const y = Math.floor(starts[run] / width);
    const x = starts[run] - y * width;
    const right = ends[run] - y * width;
    if (root === run) order[run] = found.push({ area: 0, x, y, left: x, right, last: y });
    const part = found[order[root] - 1];
    part.area += right - x;
    part.left = Math.min(part.left, x);
    part.right = Math.max(part.right, right);
    part.last = y;
    ids.fill(order[root], starts[run], ends[run]);
  });
  return found.map(({ area, x, y, left, right, last }) => ({
    area,
    x,
    y,
    rect: { x: left, y, w: right - left, h: last - y + 1 },
  }));
}

/** Whether a box lies at an edge of the tile. */
export function touchesEdge(rect: Rect, width: number, height: number): boolean {
  return rect.x === 0 || rect.y === 0 || rect.x + rect.w === width || rect.y + rect.h === height;
}

function pick(ids: Int32Array, wanted: boolean[], width: number, height: number): Selection {
  const flags = new Uint8Array(ids.length);
  for (let i = 0; i < ids.length; i++) flags[i] = ids[i] > 0 && wanted[ids[i] - 1] ? 1 : 0;
  return select(flags, width, height);
}
