/** From the microscope's greys to the 256 on the screen; labels never see any of it. */
import { clahe } from "./clahe";
import type { Grey } from "./types";

/** How greys are shown: black at `low`, white at `high`. */
export interface Display {
  readonly low: number;
  readonly high: number;
  /** Above 1 brightens the middle. */
  readonly gamma: number;
  readonly invert: boolean;
  readonly clahe: boolean;
}

/** The grey values at two percentiles (0-100); values that are not finite do not count. */
export function percentiles(grey: Grey, low: number, high: number): { low: number; high: number } {
  const { data } = grey;
  return data instanceof Float32Array ? ofReals(data, low, high) : ofWholes(data, low, high);
}

function ofWholes(
  data: Uint8Array | Uint16Array,
  low: number,
  high: number,
): { low: number; high: number } {
  const counts = new Uint32Array(data instanceof Uint8Array ? 256 : 65536);
  for (let i = 0; i < data.length; i++) counts[data[i]]++;
  return { low: rank(counts, data.length, low), high: rank(counts, data.length, high) };
}

function ofReals(data: Float32Array, low: number, high: number): { low: number; high: number } {
  let least = Infinity;
  let most = -Infinity;
  let finite = 0;
  for (const value of data) {
    if (!Number.isFinite(value)) continue;
    finite++;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (finite === 0) return { low: 0, high: 1 };
  if (least === most) return { low: least, high: most };
  const counts = new Uint32Array(65536);
  const scale = 65535 / (most - least);
  for (const value of data) {
    if (Number.isFinite(value)) counts[Math.round((value - least) * scale)]++;
  }
  return {
    low: least + rank(counts, finite, low) / scale,
    high: least + rank(counts, finite, high) / scale,
  };
}

/** The least entry with at least `percent` of all at or below it. */
function rank(counts: Uint32Array, total: number, percent: number): number {
  const wanted = Math.max(1, Math.ceil((total * percent) / 100));
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    below += counts[i];
    if (below >= wanted) return i;
  }
  return counts.length - 1;
}

/** The greys to draw, 0-255, one per pixel. */
export function shown(grey: Grey, display: Display): Uint8Array {
  const { data, width, height } = grey;
  const plain = windowed(data, display);
  const out = display.clahe ? clahe(plain, width, height) : plain;
  if (display.invert) for (let i = 0; i < out.length; i++) out[i] = 255 - out[i];
  return out;
}

function windowed(data: Grey["data"], display: Display): Uint8Array {
  const { low, high } = display;
  const span = Math.max(high - low, Number.MIN_VALUE);
  const power = 1 / display.gamma;
  const toGrey = (value: number): number => {
    const part = Math.min(1, Math.max(0, (value - low) / span));
    return Math.round(255 * part ** power);
  };
  const out = new Uint8Array(data.length);
  if (data instanceof Float32Array) {
    // NaN becomes 0 in a Uint8Array
    for (let i = 0; i < out.length; i++) out[i] = toGrey(data[i]);
    return out;
  }
  const table = new Uint8Array(data instanceof Uint8Array ? 256 : 65536);
  for (let value = 0; value < table.length; value++) table[value] = toGrey(value);
  for (let i = 0; i < out.length; i++) out[i] = table[data[i]];
  return out;
}
