/** The colours of uncertainty: dark blue over red to pale yellow, evenly getting lighter. */
import { rgba } from "./rgba";

const STEPS = 256;

/**
 * The colour scale as 256 opaque pixels. Lightness rises evenly in OKLab (Ottosson 2020), so
 * equal steps look equal and the scale survives colour blindness and grey printing.
 */
export const HEAT: Uint32Array = Uint32Array.from({ length: STEPS }, (_, i) => {
  const part = i / (STEPS - 1);
  const hue = (-80 + 185 * part) * (Math.PI / 180);
  // no colour at the ends, where the screen has none to give
  const chroma = 0.19 * Math.sin(Math.PI * (0.12 + 0.74 * part));
  return fromOklab(0.14 + 0.81 * part, chroma * Math.cos(hue), chroma * Math.sin(hue));
});

/** The pixel for a value from 0 to 1; values beyond count as the nearest end, NaN as 0. */
export function heat(value: number): number {
  return HEAT[step(value)];
}

/**
 * Draws a map into `out`: `most` takes the last colour, below `threshold` nothing is drawn;
 * `opacity` is 0-1.
 */
export function paintHeat(
  map: Float32Array,
  most: number,
  threshold: number,
  opacity: number,
  out: Uint32Array,
): void {
  const alpha = (Math.round(opacity * 255) << 24) >>> 0;
  const scale = HEAT.map((pixel) => ((pixel & 0xffffff) | alpha) >>> 0);
  for (let i = 0; i < map.length; i++) {
    out[i] = map[i] >= threshold ? scale[step(map[i] / most)] : 0;
  }
}

function step(value: number): number {
  return value > 0 ? Math.min(STEPS - 1, Math.round(value * (STEPS - 1))) : 0;
}

function fromOklab(lightness: number, a: number, b: number): number {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return rgba(
    toScreen(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    toScreen(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    toScreen(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
    255,
  );
}

/** Linear light to an sRGB byte. */
function toScreen(light: number): number {
  const part = Math.min(1, Math.max(0, light));
  const curved = part <= 0.0031308 ? 12.92 * part : 1.055 * part ** (1 / 2.4) - 0.055;
  return Math.round(255 * curved);
}
