/** A scale bar of a round length. */

/** Its true length, its length on the screen and what to write under it. */
export interface ScaleBar {
  readonly nm: number;
  readonly screenPixels: number;
  readonly text: string;
}

/**
 * The longest bar of the series 1-2-5 that is at most `maxScreenPixels` long;
 * `zoom` is screen pixels per image pixel.
 */
export function scaleBar(nmPerPixel: number, zoom: number, maxScreenPixels: number): ScaleBar {
  const nmPerScreenPixel = nmPerPixel / zoom;
  const most = nmPerScreenPixel * maxScreenPixels;
  const decade = 10 ** Math.floor(Math.log10(most));
  // a little slack: 10 ** log10(x) may come out just above x
  const step = [10, 5, 2, 1].find((factor) => factor * decade <= most * (1 + 1e-9)) ?? 1;
  const nm = step * decade;
  return { nm, screenPixels: nm / nmPerScreenPixel, text: length(nm) };
}

function length(nm: number): string {
  const [figure, unit] = nm >= 1e6 ? [nm / 1e6, "mm"] : nm >= 1000 ? [nm / 1000, "µm"] : [nm, "nm"];
  return `${Number(figure.toPrecision(3))} ${unit}`;
}
