/** Brushes of whole pixels. */
import { keep } from "./stroke";
import type { Stroke } from "./stroke";
import type { Raster, Rect, Writable } from "./types";

export { beginStroke, cancelStroke, endStroke } from "./stroke";
export type { Stroke } from "./stroke";

/** The pixels of a dab: per row `[dy, x0, x1]` from the pointer's pixel, x1 not included. */
export interface Footprint {
  readonly size: number;
  readonly spans: Int16Array;
}

/** A round brush of `diameter` pixels: hard-edged, mirror-symmetric, 1 is one pixel. */
export function disc(diameter: number): Footprint {
  const size = Math.max(1, Math.round(diameter));
  const middle = (size - 1) / 2;
  // half a pixel less than the true diameter: 3 is a plus, not a square
  const reach = ((size - 0.5) / 2) ** 2;
  return footprint(size, (row) => {
    const across = Math.sqrt(Math.max(0, reach - (row - middle) ** 2));
    return Math.ceil(middle - across);
  });
}

/** A square brush with sides of `side` pixels. */
export function square(side: number): Footprint {
  return footprint(Math.max(1, Math.round(side)), () => 0);
}

function footprint(size: number, inset: (row: number) => number): Footprint {
  const spans = new Int16Array(size * 3);
  const half = size >> 1;
  for (let row = 0; row < size; row++) {
    const left = inset(row);
    spans.set([row - half, left - half, size - left - half], row * 3);
  }
  return { size, spans };
}

/**
 * Writes one dab at pixel (x, y), clipped to the tile.
 * Only pixels whose value is `writable` and, if given, that are 1 in `within` take the value.
 * Returns the box of the pixels that changed, or null.
 */
export function touch(
  raster: Raster,
  footprint: Footprint,
  x: number,
  y: number,
  value: number,
  writable: Writable,
  log: Stroke | null,
  within?: Uint8Array,
): Rect | null {
  return drag(raster, footprint, x, y, x, y, value, writable, log, within);
}

/**
 * Writes a dab at every pixel of the line from (x0, y0) to (x1, y1), both ends included.
 * Costs one dab and then only what each next dab adds, however large the brush.
 */
export function drag(
  raster: Raster,
  footprint: Footprint,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  value: number,
  writable: Writable,
  log: Stroke | null,
  within?: Uint8Array,
): Rect | null {
  const { width, height, data } = raster;
  const { size, spans } = footprint;
  const half = size >> 1;
  let left = width;
  let right = -1;
  let top = height;
  let bottom = -1;

  const write = (row: number, from: number, to: number): void => {
    const start = row * width + Math.max(0, from);
    const end = row * width + Math.min(width, to);
    let first = -1;
    let last = -1;
    for (let i = start; i < end; i++) {
      const old = data[i];
      if (old === value || writable[old] === 0) continue;
      if (within !== undefined && within[i] === 0) continue;
      data[i] = value;
      if (first < 0) first = i;
      last = i;
    }
    if (first < 0) return;
    left = Math.min(left, first - row * width);
    right = Math.max(right, last - row * width);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
  };

  let before: readonly [number, number] | null = null;
  for (const point of line(x0, y0, x1, y1)) {
    const [x, y] = point;
    if (log !== null) keep(log, x - half, y - half, size);
    const from = Math.max(0, half - y);
    const to = Math.min(size, height - y + half);
    for (let i = from; i < to; i++) {
      const row = y - half + i;
      const a = x + spans[i * 3 + 1];
      const b = x + spans[i * 3 + 2];
      const j = before === null ? -1 : row - before[1] + half;
      if (before === null || j < 0 || j >= size) {
        write(row, a, b);
      } else {
        // the dab before has written its span of this row already
        const doneFrom = before[0] + spans[j * 3 + 1];
        const doneTo = before[0] + spans[j * 3 + 2];
        if (a < doneFrom) write(row, a, Math.min(b, doneFrom));
        if (b > doneTo) write(row, Math.max(a, doneTo), b);
      }
    }
    before = point;
  }
  if (right < 0) return null;
  return { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
}

/** The whole pixels from one point to the other, both included, each touching the next. */
export function* line(
  x0: number,
  y0: number,
  x1: number,
  y1: number,
): Generator<readonly [number, number]> {
  const dx = Math.abs(x1 - x0);
  const dy = -Math.abs(y1 - y0);
  const stepX = x0 < x1 ? 1 : -1;
  const stepY = y0 < y1 ? 1 : -1;
  let error = dx + dy;
  let x = x0;
  let y = y0;
  for (;;) {
    yield [x, y];
    if (x === x1 && y === y1) return;
    const twice = 2 * error;
    if (twice >= dy) {
      error += dy;
      x += stepX;
    }
    if (twice <= dx) {
      error += dx;
      y += stepY;
    }
  }
}
