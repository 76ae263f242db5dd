/** Paint whole small areas that follow the edges of the image. */
import { effect, signal } from "@preact/signals";
import { apply } from "../../../raster/apply";
import { line } from "../../../raster/brush";
import type { Point } from "../../../raster/polygon";
import { cut, union } from "../../../raster/rect";
import { superpixelAt } from "../../../raster/superpixels";
import type { Rect } from "../../../raster/types";
import { complain } from "../../../shell/toasts";
import { Cancelled, type Smart } from "../../../smart/smart";
import { paintValue, superpixelSize, tool } from "../../settings";
import type { Workbench } from "../../workbench";
import { working } from "../scribbles";
import { shownGrey } from "../shown";
import { pixelAt } from "../view";
import { erasable } from "./ink";
import { inside, type Tool } from "./tool";

/** The areas are cut once per tile, size and display, off the page's thread. */
export function superpixelTool(bench: Workbench, smart: Smart): Tool {
  const { raster } = bench;
  const { width, height } = raster;
  const grey = shownGrey(bench);
  const map = signal<Int32Array | null>(null);
  let cutFrom: { tile: Uint8Array; size: number } | null = null;
  let before: Uint8Array | null = null;
  let changed: Rect | null = null;
  let last: Point = { x: 0, y: 0 };
  let erase = false;

  const dispose = effect(() => {
    if (tool.value !== "superpixel") return;
    const { tile } = grey.value;
    const size = superpixelSize.value;
    if (cutFrom?.tile === tile && cutFrom.size === size) return;
    cutFrom = { tile, size };
    map.value = null;
    working.value = "Cutting the tile into superpixels …";
    smart.superpixels(tile, width, height, size).then(
      (answer) => {
        map.value = answer;
        working.value = null;
      },
      (error: unknown) => {
        if (error instanceof Cancelled) return;
        cutFrom = null;
        working.value = null;
        complain(error);
      },
    );
  });

  const paint = (to: Point) => {
    const areas = map.peek();
    let rect: Rect | null = null;
    let seen = -1;
    for (const [x, y] of line(last.x, last.y, to.x, to.y)) {
      if (areas === null || !inside(bench, { x, y }) || areas[y * width + x] === seen) continue;
      seen = areas[y * width + x];
      const area = superpixelAt(areas, width, height, x, y);
      const value = erase ? 0 : paintValue.peek();
      const allowed = erase ? erasable.peek() : bench.writable.peek();
      rect = union(rect, apply(raster, area, value, allowed)?.rect ?? null);
    }
    last = to;
    changed = union(changed, rect);
    if (rect !== null) bench.touched(rect);
  };

  return {
    cursor: "cross",
    hint: "Click or drag to paint the areas under the pointer. Hold Alt to erase.",
    down(spot) {
      before = raster.data.slice();
      changed = null;
      erase = spot.erase || spot.alt;
      last = pixelAt(spot);
      paint(last);
    },
    move(spots) {
      if (before === null) return;
      for (const spot of spots) paint(pixelAt(spot));
    },
    up() {
      const from = before;
      before = null;
      if (from === null || changed === null) return;
      const after = cut(raster.data, width, changed);
      bench.done({ rect: changed, before: cut(from, width, changed), after });
    },
    cancel() {
      if (before === null) return;
      raster.data.set(before);
      before = null;
      if (changed !== null) bench.touched(changed);
    },
    lights(at) {
      const pixel = pixelAt(at);
      const areas = map.value;
      return areas && inside(bench, pixel) ? superpixelAt(areas, width, height, pixel.x, pixel.y) : null;
    },
    dispose() {
      dispose();
      working.value = null;
    },
  };
}
