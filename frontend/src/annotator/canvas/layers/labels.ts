/** The labels over the picture, as the overlay settings want them. */
import { lut, paintOverlay, PATTERN, withAlpha } from "../../../raster/colours";
import { DIFFERENCE, difference } from "../../../raster/compare";
import type { Raster, Rect } from "../../../raster/types";
import { UNKNOWN } from "../../../raster/types";
import { hidden, overlay, shownLabels } from "../../settings";
import type { Workbench } from "../../workbench";
import type { Layer } from "./layer";

/** What the colours of the difference mean; for a legend. */
export const DIFFERENCE_COLOURS = [
  { value: DIFFERENCE.onlyA, colour: "#56b4e9", name: "only mine" },
  { value: DIFFERENCE.onlyB, colour: "#e69f00", name: "only the pre-label" },
  { value: DIFFERENCE.other, colour: "#cc79a7", name: "another label" },
  { value: DIFFERENCE.unknown, colour: "#d0d0d0", name: "unknown in one" },
] as const;

/** Everything the settings say about drawing; made anew when one of them changes. */
export interface LabelStyle {
  readonly source: "mine" | "prelabel" | "difference";
  readonly mode: "fill" | "contour" | "both";
  readonly lut: Uint32Array;
  readonly edge: Uint32Array;
  readonly patterns: Uint8Array;
}

/** The style the settings ask for now; to be called where signals are followed. */
export function labelStyle(bench: Workbench): LabelStyle {
  const { opacity, mode, patterns } = overlay.value;
  const source = bench.sheet.prelabel === null ? "mine" : shownLabels.value;
  const concealed = hidden.value;
  const labels = bench.sheet.project.labels;
  const swatches =
    source === "difference"
      ? DIFFERENCE_COLOURS
      : labels.map(({ value, colour }) => ({ value, colour, hidden: concealed.has(value) }));
  const table = lut(swatches, opacity);
  if (source !== "difference" && concealed.has(UNKNOWN)) table[UNKNOWN] = 0;
  const kinds = new Uint8Array(256);
  if (source !== "difference") kinds[UNKNOWN] = PATTERN.rising;
  if (patterns && source !== "difference") {
    labels.forEach(({ value }, index) => (kinds[value] = patternAt(index)));
  }
  const edge = table.map((pixel) => (pixel === 0 ? 0 : withAlpha(pixel, 255)));
  return { source, mode, lut: table, edge, patterns: kinds };
}

/** The pattern of a project's label by its place; "rising" stays with unknown alone. */
export function patternAt(index: number): number {
  const cycle = [PATTERN.plain, PATTERN.falling, PATTERN.dots, PATTERN.bars];
  return cycle[index % cycle.length];
}

/** Draw the labels of `rect` anew. */
export function paintLabels(layer: Layer, bench: Workbench, rect: Rect, style: LabelStyle): void {
  const { raster, sheet } = bench;
  const prelabel = sheet.prelabel;
  const source = sourceOf(raster, prelabel, style);
  layer.put(rect, (pixels) => {
    paintOverlay(source, rect, style.lut, style.mode, pixels, style);
    if (style.source === "mine" && style.mode !== "fill" && prelabel) {
      suggest(pixels, rect, raster, prelabel, style);
    }
  });
}

function sourceOf(raster: Raster, prelabel: Raster | null, { source }: LabelStyle): Raster {
  if (source === "mine" || prelabel === null) return raster;
  if (source === "prelabel") return prelabel;
  return { ...raster, data: difference(raster.data, prelabel.data) };
}

/** The outline of what the model suggests, in dashes, wherever the labels do not say the same. */
function suggest(
  pixels: Uint32Array,
  rect: Rect,
  { width, height, data: mine }: Raster,
  { data }: Raster,
  style: LabelStyle,
): void {
  for (let row = 0, o = 0; row < rect.h; row++) {
    const y = rect.y + row;
    for (let x = rect.x, i = y * width + x; x < rect.x + rect.w; x++, i++, o++) {
      const value = data[i];
      // weights that no common slope of an outline cancels out
      if (value === mine[i] || ((3 * x + 5 * y) & 15) > 9 || style.lut[value] === 0) continue;
      if (
        (x > 0 && data[i - 1] !== value) ||
        (x < width - 1 && data[i + 1] !== value) ||
        (y > 0 && data[i - width] !== value) ||
        (y < height - 1 && data[i + width] !== value)
      ) {
        pixels[o] = style.edge[value];
      }
    }
  }
}
