/** Taking over what the live version says, or throwing a label away; each is one undo step. */
import { apply, replace } from "../../raster/apply";
import { holding } from "../../raster/rect";
import type { Change } from "../../raster/types";
import { erasable } from "../canvas/tools/ink";
import type { Workbench } from "../workbench";

/** Paint a label wherever the pre-label has it; pixels of other labels follow the protect switch. */
export function acceptLabel(bench: Workbench, value: number): Change | null {
  const { prelabel } = bench.sheet;
  if (prelabel === null) return null;
  return apply(bench.raster, holding(prelabel, value), value, bench.writable.value);
}

/** Take over the whole pre-label. */
export function acceptAll(bench: Workbench): Change | null {
  const { prelabel, box } = bench.sheet;
  if (prelabel === null) return null;
  return replace(bench.raster, prelabel.data, { ...box, x: 0, y: 0 }, bench.writable.value);
}

/** Set all pixels of a label to background. */
export function clearLabel(bench: Workbench, value: number): Change | null {
  return apply(bench.raster, holding(bench.raster, value), 0, erasable.value);
}
