/** Where a map of uncertainty is worth a look. */

/** A hot spot: its peak, its pixels, and the sum of the map over them. */
export interface Hotspot {
  readonly x: number;
  readonly y: number;
  readonly area: number;
  readonly peak: number;
  readonly mass: number;
}

/** How far a spot reaches from its peak, in pixels: about what the eye takes in at once. */
const REACH = 48;
const LEVELS = 1024;

/**
 * Spots of at least `minimumArea` connected pixels whose 5x5 mean reaches `threshold`,
 * most mass first. Long warm bands fall apart into several spots, highest peaks first.
 */
export function hotspots(
  map: Float32Array,
  width: number,
  height: number,
  options: { readonly threshold: number; readonly minimumArea: number },
): Hotspot[] {
  const mild = blurred(blurred(map.map(finite), width, height, 1), width, height, width);
  const taken = new Uint8Array(mild.length);
  const spots: Hotspot[] = [];
  for (const peak of hottestFirst(mild, options.threshold)) {
    if (taken[peak] === 1) continue;
    const pixels = around(mild, taken, width, height, peak, options.threshold);
    if (pixels.length < options.minimumArea) continue;
    let mass = 0;
    for (const pixel of pixels) mass += finite(map[pixel]);
    spots.push({
      x: peak % width,
      y: Math.floor(peak / width),
      area: pixels.length,
      peak: mild[peak],
      mass,
    });
  }
  return spots.sort((a, b) => b.mass - a.mass);
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

/** The mean of five along one axis; `step` leads to the next pixel of a line. */
function blurred(map: Float32Array, width: number, height: number, step: number): Float32Array {
  const [lines, length, skip] = step === 1 ? [height, width, width] : [width, height, 1];
  const out = new Float32Array(map.length);
  for (let line = 0; line < lines; line++) {
    const start = line * skip;
    let sum = 0;
    let count = 0;
    for (let i = -2; i < length; i++) {
      if (i + 2 < length) {
        sum += map[start + (i + 2) * step];
        count++;
      }
      if (i > 2) {
        sum -= map[start + (i - 3) * step];
        count--;
      }
      if (i >= 0) out[start + i * step] = sum / count;
    }
  }
  return out;
}

/** The pixels at or above the threshold, highest first, sorted by counting. */
function hottestFirst(map: Float32Array, threshold: number): Int32Array {
  let most = threshold;
  for (const value of map) if (value > most) most = value;
  const scale = (LEVELS - 1) / Math.max(most - threshold, Number.MIN_VALUE);
  const level = (value: number): number => LEVELS - 1 - Math.floor((value - threshold) * scale);
  const starts = new Int32Array(LEVELS + 1);
  for (const value of map) if (value >= threshold) starts[level(value) + 1]++;
  for (let i = 1; i <= LEVELS; i++) starts[i] += starts[i - 1];
  const order = new Int32Array(starts[LEVELS]);
  for (let i = 0; i < map.length; i++) {
    if (map[i] >= threshold) order[starts[level(map[i])]++] = i;
  }
  return order;
}

/** Takes the hot pixels connected to `peak` within reach. */
function around(
  map: Float32Array,
  taken: Uint8Array,
  width: number,
  height: number,
  peak: number,
  threshold: number,
): number[] {
  const px = peak % width;
  const py = Math.floor(peak / width);
  const pixels = [peak];
  taken[peak] = 1;
  for (let head = 0; head < pixels.length; head++) {
    const x = pixels[head] % width;
    const y = (pixels[head] - x) / width;
    for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
      for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
        const next = ny * width + nx;
        if (taken[next] === 1 || map[next] < threshold) continue;
        const dx = nx - px;
        const dy = ny - py;
        if (dx * dx + dy * dy > REACH * REACH) continue;
        taken[next] = 1;
        pixels.push(next);
      }
    }
  }
  return pixels;
}
