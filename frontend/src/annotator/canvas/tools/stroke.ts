/** Tools that paint along the pointer: pixels are set before the event's handler returns. */
import { beginStroke, cancelStroke, drag, endStroke, type Stroke } from "../../../raster/brush";
import type { Point } from "../../../raster/polygon";
import { union } from "../../../raster/rect";
import type { Rect, Writable } from "../../../raster/types";
import type { Workbench } from "../../workbench";
import { anchor, footprint } from "../footprint";
import type { Spot, Tool } from "./tool";

/** One value, and where a stroke may leave it. */
export interface Ink {
  readonly value: number;
  readonly writable: Writable;
  /** Tile-sized flags; without them everywhere. */
  readonly within?: Uint8Array;
}

/** A tool that drags the brush's footprint; `inks` is asked once a stroke. */
export function strokeTool(
  bench: Workbench,
  hint: string,
  inks: (spot: Spot) => readonly Ink[],
): Tool {
  let stroke: Stroke | null = null;
  let held: readonly Ink[] = [];
  let last: Point = { x: 0, y: 0 };
  let shape = footprint.peek();

  const reach = (to: Point): Rect | null => {
    let rect: Rect | null = null;
    for (const { value, writable, within } of held) {
      const { x, y } = last;
      const part = drag(bench.raster, shape, x, y, to.x, to.y, value, writable, stroke, within);
      rect = union(rect, part);
    }
    last = to;
    return rect;
  };
  const tell = (rect: Rect | null) => {
    if (rect !== null) bench.touched(rect);
  };

  return {
    cursor: "footprint",
    hint,
    down(spot) {
      stroke = beginStroke(bench.raster);
      held = inks(spot);
      shape = footprint.peek();
      last = anchor(shape, spot);
      tell(reach(last));
    },
    move(spots) {
      if (stroke === null) return;
      let rect: Rect | null = null;
      for (const spot of spots) rect = union(rect, reach(anchor(shape, spot)));
      tell(rect);
    },
    up() {
      if (stroke === null) return;
      const change = endStroke(stroke);
      stroke = null;
      bench.done(change);
    },
    cancel() {
      if (stroke === null) return;
      const rect = cancelStroke(stroke);
      stroke = null;
      tell(rect);
    },
  };
}
