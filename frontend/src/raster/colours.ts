/** Colours of labels and the overlay drawn with them. */
import { fromHex, withAlpha } from "./rgba";
import { UNKNOWN } from "./types";
import type { Raster, Rect } from "./types";

export { HEAT, heat, paintHeat } from "./heat";
export { fromHex, rgba, withAlpha } from "./rgba";

const UNKNOWN_COLOUR = "#d0d0d0";
const STRAY_COLOUR = "#808080";

/** What a label looks like; hidden ones are not drawn. */
export interface Swatch {
  readonly value: number;
  readonly colour: string;
  readonly hidden?: boolean;
}

/**
 * One pixel per value at `opacity` (0-1): 0 is clear, unknown light grey and values without
 * a label mid grey.
 */
export function lut(labels: readonly Swatch[], opacity: number): Uint32Array {
  const alpha = Math.round(Math.min(1, Math.max(0, opacity)) * 255);
  const table = new Uint32Array(256).fill(fromHex(STRAY_COLOUR, alpha));
  table[0] = 0;
  table[UNKNOWN] = fromHex(UNKNOWN_COLOUR, alpha);
  for (const { value, colour, hidden } of labels) {
    table[value] = hidden === true ? 0 : fromHex(colour, alpha);
  }
  return table;
}

/** Patterns a value can be drawn with beside its colour. */
export const PATTERN = { plain: 0, rising: 1, falling: 2, dots: 3, bars: 4 } as const;

/** Patterns by value: only unknown is hatched. */
export const DEFAULT_PATTERNS: Uint8Array = Uint8Array.from({ length: 256 }, (_, value) =>
  value === UNKNOWN ? PATTERN.rising : PATTERN.plain,
);

/** What of the labels is drawn. */
export type OverlayMode = "fill" | "contour" | "both";

/** `edge`: pixels of the contour per value (default: `lut` opaque); `patterns` per value. */
export interface OverlayOptions {
  readonly edge?: Uint32Array;
  readonly patterns?: Uint8Array;
}

/**
 * Draws the labels of `rect` into `out` (of `rect`'s size). A pixel is contour if one of its
 * four neighbours in the tile differs, so after a change redraw one pixel around it too.
 */
export function paintOverlay(
  raster: Raster,
  rect: Rect,
  lut: Uint32Array,
  mode: OverlayMode,
  out: Uint32Array,
  options: OverlayOptions = {},
): void {
  const { width, height, data } = raster;
  const patterns = options.patterns ?? DEFAULT_PATTERNS;
  const edge = options.edge ?? lut.map((pixel) => (pixel === 0 ? 0 : withAlpha(pixel, 255)));
  const faint = lut.map((pixel) => withAlpha(pixel, (pixel >>> 24) >> 2));
  const filled = mode !== "contour";
  for (let row = 0, o = 0; row < rect.h; row++) {
    const y = rect.y + row;
    for (let x = rect.x, i = y * width + x; x < rect.x + rect.w; x++, i++, o++) {
      const value = data[i];
      if (lut[value] === 0) {
        out[o] = 0;
      } else if (
        mode !== "fill" &&
        ((x > 0 && data[i - 1] !== value) ||
          (x < width - 1 && data[i + 1] !== value) ||
          (y > 0 && data[i - width] !== value) ||
          (y < height - 1 && data[i + width] !== value))
      ) {
        out[o] = edge[value];
      } else if (!filled) {
        out[o] = 0;
      } else {
        const pattern = patterns[value];
        out[o] = pattern === 0 || isInked(pattern, x, y) ? lut[value] : faint[value];
      }
    }
  }
}

/** Whether a pattern is drawn strong at a pixel; places are the tile's, so parts fit. */
function isInked(pattern: number, x: number, y: number): boolean {
  switch (pattern) {
    case PATTERN.rising:
      return ((x + y) & 7) < 3;
    case PATTERN.falling:
      return ((x - y) & 7) < 3;
    case PATTERN.dots:
      return (x & 3) < 2 && (y & 3) < 2;
    case PATTERN.bars:
      return (y & 7) < 3;
    default:
      return true;
  }
}
