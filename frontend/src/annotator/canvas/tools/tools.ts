/** The tools of a bench, and which of them the pointer holds. */
import { computed, effect, signal } from "@preact/signals";
import type { Smart } from "../../../smart/smart";
import { type ToolName, tool } from "../../settings";
import type { Workbench } from "../../workbench";
import { cursor } from "../cursor";
import { glimpse } from "../preview";
import { fillTool, holesTool } from "./fill";
import { brushTool, eraserTool, restoreTool, thresholdTool } from "./ink";
import { pickerTool } from "./picker";
import { polygonTool } from "./polygon";
import { superpixelTool } from "./superpixel";
import type { Tool } from "./tool";
import { wandTool } from "./wand";
import { watershedTool } from "./watershed";

export type Tools = Readonly<Record<ToolName, Tool>>;

/** The tool a held key stands for: Alt the eraser, Space pan. */
export const temporaryTool = signal<ToolName | null>(null);

/** Tools to which Alt says something of their own. */
const ALT: ReadonlySet<ToolName> = new Set<ToolName>([
  "fill",
  "polygon",
  "wand",
  "superpixel",
  "watershed",
  "threshold",
]);

/** The tool that held keys stand for beside the chosen one. */
export function toolHeld(chosen: ToolName, space: boolean, alt: boolean): ToolName | null {
  if (space) return "pan";
  return alt && !ALT.has(chosen) ? "eraser" : null;
}

/** The tool that the next press uses. */
export const activeTool = computed(() => temporaryTool.value ?? tool.value);

/** The tools the hint of the active tool is read from; null while there is no stage. */
export const tools = signal<Tools | null>(null);

/** All tools for a bench. */
export function makeTools(bench: Workbench, smart: Smart): Tools {
  return {
    brush: brushTool(bench),
    eraser: eraserTool(bench),
    fill: fillTool(bench),
    holes: holesTool(bench),
    polygon: polygonTool(bench),
    picker: pickerTool(bench),
    wand: wandTool(bench),
    superpixel: superpixelTool(bench, smart),
    watershed: watershedTool(bench, smart),
    threshold: thresholdTool(bench),
    restore: restoreTool(bench),
    pan: {
      cursor: "hand",
      hint: "Drag to move the picture. The wheel zooms.",
      down() {},
      move() {},
      up() {},
      cancel() {},
    },
  };
}

/** Light up what the tool in hand would paint at the cursor; returns how to stop. */
export function lightUp(made: Tools): () => void {
  const stop = effect(() => {
    const at = cursor.value;
    glimpse.value = (at && made[activeTool.value].lights?.(at)) ?? null;
  });
  return () => {
    stop();
    glimpse.value = null;
  };
}
