/** Grey and labels of a tile composed to opaque pixels, for `Picture`. */
import type { Label } from "../api/client";
import { fromHex, lut, paintOverlay } from "../raster/colours";
import { DIFFERENCE, difference } from "../raster/compare";
import { percentiles, shown } from "../raster/display";
import type { Grey, Raster } from "../raster/types";

/** Opaque grey pixels, stretched between the 0.5th and 99.5th percentile. */
export function greyPixels(grey: Grey): Uint32Array {
  const { low, high } = percentiles(grey, 0.5, 99.5);
  const values = shown(grey, { low, high, gamma: 1, invert: false, clahe: false });
  return Uint32Array.from(values, (value) => (0xff000000 | (value * 0x010101)) >>> 0);
}

/** Labels over grey. */
export function labelled(grey: Uint32Array, raster: Raster, labels: readonly Label[], opacity = 0.55): Uint32Array {
  const over = new Uint32Array(grey.length);
  const all = { x: 0, y: 0, w: raster.width, h: raster.height };
  paintOverlay(raster, all, lut(labels, opacity), "fill", over);
  return blended(grey, over);
}

/** Where two rasters differ, over grey: missed (only in truth), invented, confused. */
export const ERRORS = { missed: "#ff5a4f", invented: "#4fa3ff", confused: "#ffd24f" } as const;

/** Draw the differences of `said` from `truth` in the colours of `ERRORS`. */
export function errors(grey: Uint32Array, truth: Raster, said: Raster): Uint32Array {
  const table = new Uint32Array(256);
  table[DIFFERENCE.onlyA] = fromHex(ERRORS.missed, 215);
  table[DIFFERENCE.onlyB] = fromHex(ERRORS.invented, 215);
  table[DIFFERENCE.other] = fromHex(ERRORS.confused, 215);
  const over = Uint32Array.from(difference(truth.data, said.data), (kind) => table[kind]);
  return blended(grey, over);
}

function blended(under: Uint32Array, over: Uint32Array): Uint32Array {
  return under.map((below, i) => {
    const above = over[i];
    const alpha = (above >>> 24) / 255;
    if (alpha === 0) return below;
    const mix = (shift: number) => {
      const value = ((above >>> shift) & 255) * alpha + ((below >>> shift) & 255) * (1 - alpha);
      return Math.round(value) << shift;
    };
    return (0xff000000 | mix(16) | mix(8) | mix(0)) >>> 0;
  });
}
