/** The brush's exact pixels: where they go and how their outline looks. */
import { computed } from "@preact/signals";
import { disc, type Footprint, square } from "../../raster/brush";
import type { Point } from "../../raster/polygon";
import { brush, brushSize } from "../settings";

/** The pixels the brush covers now. */
export const footprint = computed(() =>
  brush.value.square ? square(brushSize.value) : disc(brushSize.value),
);

/**
 * The pixel a footprint is set on so that its middle is nearest to a place in the tile:
 * the pixel there for odd sizes, the nearest pixel corner for even ones.
 */
export function anchor(shape: Footprint, at: Point): Point {
  const nearest = shape.size % 2 === 0 ? Math.round : Math.floor;
  return { x: nearest(at.x), y: nearest(at.y) };
}

/** The outline as segments [x0, y0, x1, y1] in pixels from the anchor pixel's corner. */
export function outlineOf(shape: Footprint): readonly (readonly number[])[] {
  const segments: number[][] = [];
  let above: readonly [number, number] = [0, 0];
  const across = (y: number, a: readonly [number, number], b: readonly [number, number]) => {
    // where exactly one of two rows that touch has pixels
    const ends = a[0] < a[1] && b[0] < b[1] ? [...a, ...b].sort((p, q) => p - q) : [...a, ...b];
    const pairs = a[0] < a[1] && b[0] < b[1] ? [ends.slice(0, 2), ends.slice(2)] : [[...a], [...b]];
    for (const [from, to] of pairs) if (from < to) segments.push([from, y, to, y]);
  };
  for (let row = 0; row < shape.size; row++) {
    const [dy, from, to] = shape.spans.subarray(row * 3, row * 3 + 3);
    segments.push([from, dy, from, dy + 1], [to, dy, to, dy + 1]);
    across(dy, above, [from, to]);
    above = [from, to];
  }
  across(shape.spans[shape.size * 3 - 3] + 1, above, [0, 0]);
  return segments;
}
