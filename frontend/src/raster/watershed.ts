/** From a few scribbles to whole areas: each grows until it meets another at an edge. */
import { flood, gradient } from "./flood";
import { cut } from "./rect";
import type { Rect } from "./types";

/**
 * Values for every pixel of `window` (of its size), grown from the `seeds` inside it along
 * the edges of the grey. `grey` and `seeds` are of the whole tile; a seed is any value but 0,
 * so a scribble for "no label" takes a value of its own. All 0 if the window has no seed.
 */
export function watershed(
  grey: Uint8Array,
  width: number,
  height: number,
  seeds: Uint8Array,
  window: Rect,
): Uint8Array {
  const values = cut(seeds, width, window);
  flood(values, gradient(grey, width, height, window), window.w);
  return values;
}
