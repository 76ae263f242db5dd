/** Cleaning up one label of the tile; each act is one undo step. */
import { applyEdit } from "../../raster/apply";
import { holes, specks } from "../../raster/fill";
import { type Edit, grow, shrink, smooth } from "../../raster/morphology";
import { NOTHING } from "../../raster/rect";
import type { Change, Selection, Writable } from "../../raster/types";
import { stored } from "../../shell/stored";
import { erasable } from "../canvas/tools/ink";
import { paintValue } from "../settings";
import type { Workbench } from "../workbench";

export type Cleaning = "grow" | "shrink" | "smooth" | "holes" | "specks";

/** How far grow and shrink go, and below how many pixels a part is a speck. */
export const measure = stored("cleaning", { pixels: 1, speck: 30 });

/** What an act would ask for, of the label that is being painted. */
export function cleaningEdit(bench: Workbench, act: Cleaning): Edit {
  const { raster } = bench;
  const { pixels, speck } = measure.value;
  const value = paintValue.value;
  switch (act) {
    case "grow":
      return grow(raster, value, pixels);
    case "shrink":
      return shrink(raster, value, pixels);
    case "smooth":
      return smooth(raster, value);
    case "holes":
      return { set: holes(raster, value), clear: NOTHING };
    case "specks":
      return { set: NOTHING, clear: specks(raster, value, speck) };
  }
}

/** How many pixels an act would change, with the protect switch as it is. */
export function cleaningCount(bench: Workbench, act: Cleaning): number {
  const { set, clear } = cleaningEdit(bench, act);
  return reachable(bench, set) + reachable(bench, clear);
}

/** Do it; null if nothing changes. */
export function clean(bench: Workbench, act: Cleaning): Change | null {
  const edit = cleaningEdit(bench, act);
  return applyEdit(bench.raster, edit, paintValue.value, allowed(bench));
}

/** Other labels follow the protect switch; the label's own pixels go as with the eraser. */
function allowed(bench: Workbench): Writable {
  const flags = bench.writable.value.slice();
  flags[paintValue.value] = erasable.value[paintValue.value];
  return flags;
}

function reachable(bench: Workbench, { rect, bits }: Selection): number {
  const { data, width } = bench.raster;
  const may = allowed(bench);
  let count = 0;
  for (let i = 0, row = 0; row < rect.h; row++) {
    const start = (rect.y + row) * width + rect.x;
    for (let column = 0; column < rect.w; column++, i++) count += bits[i] & may[data[start + column]];
  }
  return count;
}
