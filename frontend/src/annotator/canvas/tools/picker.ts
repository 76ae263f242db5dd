/** Take the label under the pointer as the one to paint with. */
import type { Point } from "../../../raster/polygon";
import { paintValue, tool } from "../../settings";
import type { Workbench } from "../../workbench";
import { pixelAt } from "../view";
import { clickTool } from "./fill";
import { inside, type Tool } from "./tool";

/** Paint with what a place holds from now on. */
export function pick(bench: Workbench, place: Point): void {
  const { x, y } = pixelAt(place);
  const { data, width } = bench.raster;
  if (inside(bench, { x, y })) paintValue.value = data[y * width + x];
}

/** Click a label, then paint with it. */
export function pickerTool(bench: Workbench): Tool {
  return clickTool("Click to pick the label there; then the brush comes back.", (spot) => {
    pick(bench, spot);
    tool.value = "brush";
  });
}
