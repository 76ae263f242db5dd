/** Scribble labels and background; the areas between are grown and shown before they count. */
import { line } from "../../../raster/brush";
import type { Point } from "../../../raster/polygon";
import { clip, union, widened } from "../../../raster/rect";
import type { Rect } from "../../../raster/types";
import { complain } from "../../../shell/toasts";
import { Cancelled, type Smart } from "../../../smart/smart";
import { paintValue } from "../../settings";
import type { Workbench } from "../../workbench";
import { commitPreview, dropPreview, preview } from "../preview";
import { scribbles, working } from "../scribbles";
import { shownGrey } from "../shown";
import { pixelAt } from "../view";
import type { Tool } from "./tool";

/** How far beyond the scribbles their areas may grow, in pixels. */
const REACH = 48;

/** Scribble with two labels or one and background (Alt); Enter paints what is proposed. */
export function watershedTool(bench: Workbench, smart: Smart): Tool {
  const { width, height } = bench.raster;
  const grey = shownGrey(bench);
  const none = unused(bench.sheet.project.labels.map((label) => label.value));
  let last: Point | null = null;
  let seed = none;

  const draw = (to: Point) => {
    const from = last ?? to;
    const { seeds, rect } = scribbles.peek() ?? {
      seeds: new Uint8Array(width * height),
      rect: null,
    };
    for (const [x, y] of line(from.x, from.y, to.x, to.y)) {
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          seeds[row * width + column] = seed;
        }
      }
    }
    last = to;
    const box: Rect = {
      x: Math.min(from.x, to.x) - 1,
      y: Math.min(from.y, to.y) - 1,
      w: Math.abs(from.x - to.x) + 3,
      h: Math.abs(from.y - to.y) + 3,
    };
    const all = union(rect, clip(box, width, height));
    if (all !== null) scribbles.value = { seeds, none, rect: all };
  };
  const clear = (): boolean => {
    const had = scribbles.peek() !== null;
    scribbles.value = null;
    last = null;
    return dropPreview() || had;
  };

  async function grow(): Promise<void> {
    const drawn = scribbles.peek();
    if (drawn === null) return;
    const values = new Set(drawn.seeds);
    values.delete(0);
    if (values.size < 2) return;
    const window = widened(drawn.rect, REACH, width, height);
    working.value = "Growing the scribbles …";
    try {
      const { tile } = grey.peek();
      const grown = await smart.watershed(tile, width, height, drawn.seeds, window);
      if (scribbles.peek()?.seeds !== drawn.seeds) return void (working.value = null);
      values.delete(none);
      preview.value = proposed(bench, window, grown, none, values);
      working.value = null;
    } catch (error) {
      // cancelled by the next question, which is still being answered
      if (error instanceof Cancelled) return;
      working.value = null;
      complain(error);
    }
  }

  return {
    cursor: "cross",
    hint:
      "Scribble with at least two labels, or one label and background (Alt). " +
      "Enter paints the proposal, Escape drops it.",
    down(spot) {
      const value = spot.erase || spot.alt ? 0 : paintValue.peek();
      seed = value === 0 ? none : value;
      last = null;
      draw(pixelAt(spot));
    },
    move(spots) {
      for (const spot of spots) draw(pixelAt(spot));
    },
    up() {
      last = null;
      void grow();
    },
    cancel() {
      clear();
    },
    key(key) {
      if (key === "Escape") return clear();
      if (key !== "Enter" || preview.peek() === null) return false;
      commitPreview(bench);
      return clear() || true;
    },
    dispose: clear,
  };
}

/**
 * What the grown areas would write: labels as grown; background only clears the labels that
 * were scribbled, so that other structures in the window stay.
 */
export function proposed(
  { raster }: Workbench,
  window: Rect,
  grown: Uint8Array,
  none: number,
  scribbled: ReadonlySet<number>,
) {
  const values = new Uint8Array(raster.data.length);
  const bits = new Uint8Array(grown.length);
  for (let o = 0; o < grown.length; o++) {
    const row = Math.floor(o / window.w);
    const i = (window.y + row) * raster.width + window.x + o - row * window.w;
    const background = grown[o] === none;
    values[i] = background ? 0 : grown[o];
    bits[o] = !background || scribbled.has(raster.data[i]) ? 1 : 0;
  }
  return { rect: window, bits, values };
}

/** A value no label has. */
function unused(taken: readonly number[]): number {
  let value = 254;
  while (taken.includes(value)) value--;
  return value;
}
