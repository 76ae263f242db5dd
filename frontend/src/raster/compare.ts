/** Two rasters of the same tile against each other. */
import { UNKNOWN } from "./types";

/** The agreement on one value; pixels that are unknown in either raster are left out. */
export interface Agreement {
  readonly value: number;
  /** 2 both / (2 both + onlyA + onlyB); null if neither raster has the value. */
  readonly dice: number | null;
  readonly onlyA: number;
  readonly onlyB: number;
  readonly both: number;
}

/** What a pixel of `difference` says. */
export const DIFFERENCE = { same: 0, onlyA: 1, onlyB: 2, other: 3, unknown: 4 } as const;

/** The Dice coefficient of one value; null if neither raster has it. */
export function dice(a: Uint8Array, b: Uint8Array, value: number): number | null {
  return compareRasters(a, b, [value])[0].dice;
}

/** The agreement on each of `values`, in their order. */
export function compareRasters(
  a: Uint8Array,
  b: Uint8Array,
  values: readonly number[],
): Agreement[] {
  if (a.length !== b.length) throw new RangeError("The rasters are of different sizes.");
  const inA = new Uint32Array(256);
  const inB = new Uint32Array(256);
  const inBoth = new Uint32Array(256);
  for (let i = 0; i < a.length; i++) {
    const va = a[i];
    const vb = b[i];
    if (va === UNKNOWN || vb === UNKNOWN) continue;
    inA[va]++;
    inB[vb]++;
    if (va === vb) inBoth[va]++;
  }
  return values.map((value) => {
    const both = inBoth[value];
    const sum = inA[value] + inB[value];
    const score = sum === 0 ? null : (2 * both) / sum;
    return { value, dice: score, onlyA: inA[value] - both, onlyB: inB[value] - both, both };
  });
}

/**
 * Per pixel: 0 the same, 1 a label only in `a`, 2 only in `b`, 3 two different labels,
 * 4 unknown in one of them.
 */
export function difference(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== b.length) throw new RangeError("The rasters are of different sizes.");
  const out = new Uint8Array(a.length);
  for (let i = 0; i < a.length; i++) {
    const va = a[i];
    const vb = b[i];
    if (va === vb) continue;
    if (va === UNKNOWN || vb === UNKNOWN) out[i] = DIFFERENCE.unknown;
    else if (vb === 0) out[i] = DIFFERENCE.onlyA;
    else if (va === 0) out[i] = DIFFERENCE.onlyB;
    else out[i] = DIFFERENCE.other;
  }
  return out;
}
