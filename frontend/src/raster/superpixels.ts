/** A tile cut into small areas that follow the edges of the grey. */
import { connected } from "./fill";
import { flood, gradient } from "./flood";
import type { Selection } from "./types";

/** How much relief a distance of one `size` is worth: larger is rounder. */
const ROUNDNESS = 48;

/**
 * Ids 0, 1, 2... per pixel; every superpixel is 4-connected and about `size` pixels wide.
 * A watershed from a grid of seeds with a price on distance (after compact watershed,
 * Neubert & Protzel 2014).
 */
export function superpixels(
  grey: Uint8Array,
  width: number,
  height: number,
  size: number,
): Int32Array {
  const relief = gradient(grey, width, height, { x: 0, y: 0, w: width, h: height });
  const columns = Math.max(1, Math.round(width / size));
  const rows = Math.max(1, Math.round(height / size));
  const x = new Float32Array(columns * rows + 1);
  const y = new Float32Array(columns * rows + 1);
  const labels = new Int32Array(width * height);
  for (let row = 0, label = 1; row < rows; row++) {
    for (let column = 0; column < columns; column++, label++) {
      const cx = Math.floor(((column + 0.5) * width) / columns);
      const cy = Math.floor(((row + 0.5) * height) / rows);
      const seed = flattest(relief, width, height, cx, cy, Math.floor(size / 4));
      x[label] = seed % width;
      y[label] = Math.floor(seed / width);
      labels[seed] = label;
    }
  }
  flood(labels, relief, width, { x, y, cost: ROUNDNESS / size });
  for (let i = 0; i < labels.length; i++) labels[i]--;
  return labels;
}

/** The superpixel at (x, y). */
export function superpixelAt(
  map: Int32Array,
  width: number,
  height: number,
  x: number,
  y: number,
): Selection {
  return connected(map, width, height, x, y);
}

/** The least steep pixel at most `reach` away in each direction. */
function flattest(
  relief: Uint8Array,
  width: number,
  height: number,
  x: number,
  y: number,
  reach: number,
): number {
  let best = y * width + x;
  for (let row = Math.max(0, y - reach); row <= Math.min(height - 1, y + reach); row++) {
    for (let at = Math.max(0, x - reach); at <= Math.min(width - 1, x + reach); at++) {
      if (relief[row * width + at] < relief[best]) best = row * width + at;
    }
  }
  return best;
}
