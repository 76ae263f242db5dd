/** What tools propose and scribble, over the labels. */
import { fromHex, rgba } from "../../../raster/colours";
import { clip, union } from "../../../raster/rect";
import type { Rect, Selection } from "../../../raster/types";
import { UNKNOWN } from "../../../raster/types";
import { paintValue } from "../../settings";
import type { Workbench } from "../../workbench";
import { glimpse, preview } from "../preview";
import { scribbles } from "../scribbles";
import type { Layer } from "./layer";

/** Draws proposals; each call says which part of the layer changed. */
export interface ProposalPainter {
  paint(): Rect | null;
}

/** Follows the proposals of a bench on a layer. */
export function proposalPainter(layer: Layer, bench: Workbench): ProposalPainter {
  const { width, height } = bench.raster;
  let drawn: Rect | null = null;
  return {
    paint() {
      const proposal = preview.value;
      const lit = glimpse.value;
      const drawing = scribbles.value;
      const colour = colours(bench);
      const boxes = [proposal?.rect, lit?.rect, drawing?.rect];
      const now = boxes.reduce<Rect | null>((all, box) => union(all, box ?? null), null);
      const wanted = union(drawn, now);
      drawn = now;
      const rect = wanted && clip(wanted, width, height);
      if (rect === null) return null;
      layer.put(rect, (pixels) => {
        const { values, value = paintValue.value } = proposal ?? {};
        if (proposal) {
          each(proposal, rect, width, (o, i, x, y) => {
            const strong = ((x + y) & 3) < 2 ? 235 : 140;
            pixels[o] = fromHex(colour(values ? values[i] : value), strong);
          });
        }
        if (lit) each(lit, rect, width, (o) => (pixels[o] = rgba(255, 255, 255, 110)));
        if (drawing) {
          const all = { rect, bits: new Uint8Array(rect.w * rect.h).fill(1) };
          each(all, rect, width, (o, i) => {
            const seed = drawing.seeds[i];
            if (seed) pixels[o] = fromHex(colour(seed === drawing.none ? 0 : seed), 255);
          });
        }
      });
      return rect;
    },
  };
}

/** Visits the selected pixels: place in `rect`, place in the tile, coordinates. */
function each(
  { rect: box, bits }: Selection,
  rect: Rect,
  width: number,
  visit: (o: number, i: number, x: number, y: number) => void,
): void {
  const left = Math.max(box.x, rect.x);
  const right = Math.min(box.x + box.w, rect.x + rect.w);
  const end = Math.min(box.y + box.h, rect.y + rect.h);
  for (let y = Math.max(box.y, rect.y); y < end; y++) {
    for (let x = left; x < right; x++) {
      if (bits[(y - box.y) * box.w + x - box.x] === 0) continue;
      visit((y - rect.y) * rect.w + x - rect.x, y * width + x, x, y);
    }
  }
}

/** A colour for each value: labels their own, background black, unknown pale. */
function colours({ sheet }: Workbench): (value: number) => string {
  const known = new Map(sheet.project.labels.map(({ value, colour }) => [value, colour]));
  known.set(0, "#000000").set(UNKNOWN, "#d0d0d0");
  return (value) => known.get(value) ?? "#808080";
}
