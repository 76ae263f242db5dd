/** From a drawn outline to pixels. */
import { NOTHING, select } from "./rect";
import type { Selection } from "./types";

/** A place in the tile; pixel (i, j) covers i..i+1, j..j+1. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * The pixels whose centres lie inside the closed outline (even-odd rule).
 * Null for fewer than three points or when no pixel of the tile is inside.
 */
export function polygon(points: readonly Point[], width: number, height: number): Selection | null {
  if (points.length < 3) return null;
  const flags = new Uint8Array(width * height);
  const ys = points.map((point) => point.y);
  const first = Math.max(0, Math.floor(Math.min(...ys)));
  const last = Math.min(height - 1, Math.ceil(Math.max(...ys)));
  for (let y = first; y <= last; y++) {
    const crossings = crossingsAt(points, y + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.ceil(crossings[i] - 0.5));
      const to = Math.min(width, Math.ceil(crossings[i + 1] - 0.5));
      if (from < to) flags.fill(1, y * width + from, y * width + to);
    }
  }
  const selection = select(flags, width, height);
  return selection === NOTHING ? null : selection;
}

function crossingsAt(points: readonly Point[], y: number): number[] {
  const crossings: number[] = [];
  for (let i = 0; i < points.length; i++) {
    const a = points[i];
    const b = points[(i + 1) % points.length];
    // half-open: a corner on the line counts once
    if (a.y <= y === b.y <= y) continue;
    crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
  }
  return crossings.sort((a, b) => a - b);
}
