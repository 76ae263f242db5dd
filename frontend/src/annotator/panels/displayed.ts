/** Changing how the project's images are shown. */
import { displayOf } from "../canvas/shown";
import { type Display, displays } from "../settings";
import type { Workbench } from "../workbench";

/** Change some of the display of this project's images. */
export function changeDisplay(bench: Workbench, changes: Partial<Display>): void {
  const display = { ...displayOf(bench), ...changes };
  displays.value = { ...displays.value, [bench.sheet.project.slug]: display };
}
