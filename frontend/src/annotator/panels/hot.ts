/** Labelling only where the model is unsure. */
import { apply } from "../../raster/apply";
import { grow } from "../../raster/morphology";
import { type Change, type Raster, type Selection, UNKNOWN } from "../../raster/types";
import { normalEntropy } from "../canvas/hotspots";
import type { Workbench } from "../workbench";

/** Tissue around a hot pixel that is left to be labelled: an outline needs both of its sides. */
const REACH = 8;

/** The pixels of the tile farther than a few pixels from any that reaches `threshold`. */
export function cold(map: Float32Array, width: number, height: number, threshold: number): Selection {
  const hot: Raster = { width, height, data: Uint8Array.from(map, (value) => (value >= threshold ? 1 : 0)) };
  const { set } = grow(hot, 1, REACH);
  const bits = hot.data.map((flag) => 1 - flag);
  for (let i = 0, row = 0; row < set.rect.h; row++) {
    const start = (set.rect.y + row) * width + set.rect.x;
    for (let column = 0; column < set.rect.w; column++, i++) if (set.bits[i]) bits[start + column] = 0;
  }
  return { rect: { x: 0, y: 0, w: width, h: height }, bits };
}

/** Set everything but the hot regions to unknown, as one step; null if nothing changes. */
export async function onlyHot(bench: Workbench, threshold: number): Promise<Change | null> {
  const map = await normalEntropy(bench);
  if (map === null) return null;
  const { width, height } = bench.raster;
  return apply(bench.raster, cold(map, width, height, threshold), UNKNOWN, bench.writable.value);
}
