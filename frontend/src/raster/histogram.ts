/** How often each grey occurs, to choose black and white by. */
import type { Grey, Rect } from "./types";

/** Counts of a box's greys in `bins` equal steps from `low` to `high`; what lies outside is left out. */
export function histogram(
  grey: Grey,
  box: Rect,
  range: { readonly low: number; readonly high: number },
  bins: number,
): Uint32Array {
  const counts = new Uint32Array(bins);
  const scale = bins / (range.high - range.low || 1);
  for (let row = box.y; row < box.y + box.h; row++) {
    const start = row * grey.width + box.x;
    for (let i = start; i < start + box.w; i++) {
      const value = grey.data[i];
      // NaN is neither
      if (!(value >= range.low && value <= range.high)) continue;
      counts[Math.min(bins - 1, Math.floor((value - range.low) * scale))]++;
    }
  }
  return counts;
}
