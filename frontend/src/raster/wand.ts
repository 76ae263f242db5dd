/** The wand: connected pixels of similar grey near the pointer. */
import { connected } from "./fill";
import { NOTHING, clip } from "./rect";
import type { Selection } from "./types";

/**
 * The 4-connected pixels around (x, y), at most `radius` away, whose shown grey differs by
 * no more than `tolerance` from the pointer's. Greys are 3x3 means: single noisy pixels
 * neither stop the wand nor let it through.
 */
export function wand(
  grey: Uint8Array,
  width: number,
  height: number,
  x: number,
  y: number,
  tolerance: number,
  radius: number,
): Selection {
  const box = { x: x - radius, y: y - radius, w: 2 * radius + 1, h: 2 * radius + 1 };
  const window = clip(box, width, height);
  if (window === null || x < 0 || y < 0 || x >= width || y >= height) return NOTHING;
  const target = meanAt(grey, width, height, x, y);
  const alike = new Uint8Array(window.w * window.h);
  const reach = (radius + 0.25) ** 2;
  for (let row = 0, i = 0; row < window.h; row++) {
    const py = window.y + row;
    for (let column = 0; column < window.w; column++, i++) {
      const px = window.x + column;
      if ((px - x) ** 2 + (py - y) ** 2 > reach) continue;
      if (Math.abs(meanAt(grey, width, height, px, py) - target) <= tolerance) alike[i] = 1;
    }
  }
  const found = connected(alike, window.w, window.h, x - window.x, y - window.y);
  const rect = { ...found.rect, x: found.rect.x + window.x, y: found.rect.y + window.y };
  return { rect, bits: found.bits };
}

function meanAt(
  grey: Uint8Array,
  width: number,
  height: number,
  x: number,
  y: number,
): number {
  const left = Math.max(0, x - 1);
  const right = Math.min(width - 1, x + 1);
  const top = Math.max(0, y - 1);
  const bottom = Math.min(height - 1, y + 1);
  let sum = 0;
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) sum += grey[row * width + column];
  }
  return sum / ((right - left + 1) * (bottom - top + 1));
}
