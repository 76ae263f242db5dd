/** How much of a tile each value takes. */
import type { Raster } from "./types";

/** Pixels per value, 256 entries. */
export function shares(raster: Raster): Uint32Array {
  const counts = new Uint32Array(256);
  const { data } = raster;
  for (let i = 0; i < data.length; i++) counts[data[i]]++;
  return counts;
}
