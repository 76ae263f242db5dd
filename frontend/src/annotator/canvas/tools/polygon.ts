/** Outlines: corners by clicks, or a lasso by dragging. */
import { signal } from "@preact/signals";
import { apply } from "../../../raster/apply";
import { type Point, polygon } from "../../../raster/polygon";
import { paintValue } from "../../settings";
import type { Workbench } from "../../workbench";
import { cursor } from "../cursor";
import { erasable } from "./ink";
import type { Spot, Tool } from "./tool";

/** The outline that is being drawn, in tile coordinates. */
export interface Outline {
  readonly points: readonly Point[];
  readonly subtract: boolean;
}

export const outline = signal<Outline | null>(null);

/** Screen pixels within which a click means a corner that is there already. */
const NEAR = 6;

/** Enter, or a click on the first corner or twice on one, closes the outline and paints what lies inside. */
export function polygonTool(bench: Workbench): Tool {
  let lasso = false;
  let dragging = false;

  const near = (a: Point, b: Point, reach: number) =>
    Math.hypot(a.x - b.x, a.y - b.y) * bench.view.peek().scale <= reach;
  const add = ({ x, y }: Point) => {
    const drawn = outline.peek();
    if (drawn) outline.value = { ...drawn, points: [...drawn.points, { x, y }] };
  };
  const close = (): boolean => {
    const drawn = outline.peek();
    if (drawn === null || drawn.points.length < 3) return false;
    outline.value = null;
    const { width, height } = bench.raster;
    const selection = polygon(drawn.points, width, height);
    const value = drawn.subtract ? 0 : paintValue.peek();
    const allowed = value === 0 ? erasable.peek() : bench.writable.peek();
    if (selection) bench.done(apply(bench.raster, selection, value, allowed));
    return true;
  };
  const start = (spot: Spot) => {
    const subtract = spot.alt || spot.shift || spot.erase;
    outline.value = { points: [{ x: spot.x, y: spot.y }], subtract };
    lasso = true;
  };

  return {
    cursor: "cross",
    hint:
      "Click corners or drag a lasso. Enter or a second click closes, Backspace takes a corner back, " +
      "Escape cancels; begin with Alt or Shift to take away.",
    down(spot) {
      dragging = false;
      const points = outline.peek()?.points ?? [];
      const first = points.at(0);
      const last = points.at(-1);
      if (!first || !last) return start(spot);
      lasso = false;
      if (!near(spot, last, NEAR / 2) && !(points.length > 2 && near(spot, first, NEAR))) add(spot);
      else close();
    },
    move(spots) {
      for (const spot of spots) {
        const last = outline.peek()?.points.at(-1);
        // a hand that trembles on a click draws no lasso
        if (!last || near(spot, last, dragging ? 1 : NEAR)) continue;
        dragging = true;
        add(spot);
      }
    },
    up() {
      if (lasso && dragging && !close()) outline.value = null;
      lasso = false;
    },
    cancel() {
      outline.value = null;
    },
    key(key) {
      // at the keyboard's crosshair Enter is a click
      if (key === "Enter") return !cursor.peek()?.byKeys && close();
      const drawn = outline.peek();
      if (drawn === null || (key !== "Escape" && key !== "Backspace")) return false;
      const points = drawn.points.slice(0, -1);
      outline.value = key === "Escape" || points.length === 0 ? null : { ...drawn, points };
      return true;
    },
  };
}
