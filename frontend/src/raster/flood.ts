/** The flooding that watershed and superpixels share, and the relief it runs over. */
import type { Rect } from "./types";

/**
 * How steep the grey is inside `window`: 3x3 mean, then central differences, scaled so that
 * the steepest half per cent is 255. `width` and `height` are those of `grey`.
 */
export function gradient(
  grey: Uint8Array,
  width: number,
  height: number,
  window: Rect,
): Uint8Array {
  const smooth = smoothed(grey, width, height, window);
  const { w, h } = window;
  const steep = new Float32Array(w * h);
  for (let y = 0; y < h; y++) {
    const up = Math.max(0, y - 1) * w;
    const down = Math.min(h - 1, y + 1) * w;
    for (let x = 0; x < w; x++) {
      const dx = smooth[y * w + Math.min(w - 1, x + 1)] - smooth[y * w + Math.max(0, x - 1)];
      const dy = smooth[down + x] - smooth[up + x];
      steep[y * w + x] = Math.sqrt(dx * dx + dy * dy);
    }
  }
  return scaled(steep);
}

/** Sums of 3x3, edge pixels repeated. */
function smoothed(grey: Uint8Array, width: number, height: number, window: Rect): Uint16Array {
  const { w, h } = window;
  const out = new Uint16Array(w * h);
  for (let y = 0; y < h; y++) {
    const row = window.y + y;
    const up = Math.max(0, row - 1) * width;
    const here = row * width;
    const down = Math.min(height - 1, row + 1) * width;
    for (let x = 0; x < w; x++) {
      const middle = window.x + x;
      const left = Math.max(0, middle - 1);
      const right = Math.min(width - 1, middle + 1);
      out[y * w + x] =
        grey[up + left] + grey[up + middle] + grey[up + right] +
        grey[here + left] + grey[here + middle] + grey[here + right] +
        grey[down + left] + grey[down + middle] + grey[down + right];
    }
  }
  return out;
}

function scaled(steep: Float32Array): Uint8Array {
  // 9 * 255 * sqrt(2) is the steepest there can be
  const counts = new Uint32Array(3246);
  for (const value of steep) counts[Math.floor(value)]++;
  let top = counts.length - 1;
  for (let above = counts[top]; top > 1 && above <= steep.length / 200; ) above += counts[--top];
  const out = new Uint8Array(steep.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.min(255, (steep[i] * 255) / (top + 1));
  return out;
}

/** Middles of the basins, by label, and what a pixel of distance to them costs. */
export interface Middles {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly cost: number;
}

/**
 * Floods `relief` from the pixels of `labels` that are not 0, lowest first, until every
 * pixel has a label; in place. 256 first-in-first-out buckets of linked pixels (after
 * Meyer's flooding), so time is linear and the outcome always the same.
 */
export function flood(
  labels: Int32Array | Uint8Array,
  relief: Uint8Array,
  width: number,
  middles?: Middles,
): void {
  const next = new Int32Array(labels.length);
  const heads = new Int32Array(256).fill(-1);
  const tails = new Int32Array(256);
  let level = 0;
  const put = (pixel: number, at: number): void => {
    next[pixel] = -1;
    if (heads[at] < 0) heads[at] = pixel;
    else next[tails[at]] = pixel;
    tails[at] = pixel;
  };
  const reach = (pixel: number, label: number): void => {
    if (labels[pixel] !== 0) return;
    labels[pixel] = label;
    let height = relief[pixel];
    if (middles !== undefined) {
      const y = Math.floor(pixel / width);
      const dx = pixel - y * width - middles.x[label];
      const dy = y - middles.y[label];
      height = Math.min(255, Math.floor(height + middles.cost * Math.sqrt(dx * dx + dy * dy)));
    }
    put(pixel, Math.max(level, height));
  };
  for (let i = 0; i < labels.length; i++) if (labels[i] !== 0) put(i, 0);
  while (level < 256) {
    const pixel = heads[level];
    if (pixel < 0) {
      level++;
      continue;
    }
    heads[level] = next[pixel];
    const label = labels[pixel];
    const column = pixel % width;
    if (pixel >= width) reach(pixel - width, label);
    if (column > 0) reach(pixel - 1, label);
    if (column < width - 1) reach(pixel + 1, label);
    if (pixel < labels.length - width) reach(pixel + width, label);
  }
}
