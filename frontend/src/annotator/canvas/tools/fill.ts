/** Fill a structure with the chosen label, or the holes in one. */
import { apply } from "../../../raster/apply";
import { holes, region } from "../../../raster/fill";
import type { Raster, Selection } from "../../../raster/types";
import { paintValue } from "../../settings";
import type { Workbench } from "../../workbench";
import { pixelAt } from "../view";
import { erasable } from "./ink";
import { inside, type Tool } from "./tool";

/** Click: the connected pixels of one value take the chosen label. */
export function fillTool(bench: Workbench): Tool {
  return clickTool("Click to fill a structure. Shift+click fills its holes.", (spot) => {
    const { x, y } = pixelAt(spot);
    if (!inside(bench, { x, y })) return;
    if (spot.shift) return fillHoles(bench, x, y);
    const value = spot.erase || spot.alt ? 0 : paintValue.peek();
    const allowed = value === 0 ? erasable.peek() : bench.writable.peek();
    bench.done(apply(bench.raster, region(bench.raster, x, y), value, allowed));
  });
}

/** Click: the holes of the structure there are closed. */
export function holesTool(bench: Workbench): Tool {
  return clickTool("Click a structure to fill its holes.", (spot) => {
    const { x, y } = pixelAt(spot);
    if (inside(bench, { x, y })) fillHoles(bench, x, y);
  });
}

/** On background, every structure of the chosen label is meant. */
function fillHoles(bench: Workbench, x: number, y: number): void {
  const { raster } = bench;
  const value = raster.data[y * raster.width + x];
  const found =
    value === 0 ? holes(raster, paintValue.peek()) : holes(alone(raster, region(raster, x, y)), 1);
  bench.done(apply(raster, found, value || paintValue.peek(), bench.writable.peek()));
}

/** A raster of 1 where the selection is. */
function alone({ width, height }: Raster, { rect, bits }: Selection): Raster {
  const data = new Uint8Array(width * height);
  for (let row = 0; row < rect.h; row++) {
    const bitsOfRow = bits.subarray(row * rect.w, (row + 1) * rect.w);
    data.set(bitsOfRow, (rect.y + row) * width + rect.x);
  }
  return { width, height, data };
}

/** A tool that acts once a press. */
export function clickTool(hint: string, click: Tool["down"]): Tool {
  return { cursor: "cross", hint, down: click, move() {}, up() {}, cancel() {} };
}
