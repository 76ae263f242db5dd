/** The wand: similar grey around a click, seen before it is taken. */
import { effect } from "@preact/signals";
import type { Point } from "../../../raster/polygon";
import { wand as similar } from "../../../raster/wand";
import { wand } from "../../settings";
import type { Workbench } from "../../workbench";
import { commitPreview, dropPreview, holds, preview, type Proposal } from "../preview";
import { shownGrey } from "../shown";
import { pixelAt } from "../view";
import { clickTool } from "./fill";
import { inside, type Tool } from "./tool";

/** A click proposes, a click into the proposal or Enter commits; its settings act at once. */
export function wandTool(bench: Workbench): Tool {
  const grey = shownGrey(bench);
  const { width, height } = bench.raster;
  let seed: (Point & { erase: boolean }) | null = null;
  let mine: Proposal | null = null;

  const dispose = effect(() => {
    const { tolerance, radius } = wand.value;
    const { tile } = grey.value;
    if (seed && mine && preview.peek() === mine) propose(tile, tolerance, radius);
  });
  function propose(tile: Uint8Array, tolerance: number, radius: number): void {
    if (seed === null) return;
    const found = similar(tile, width, height, seed.x, seed.y, tolerance, radius);
    mine = seed.erase ? { ...found, value: 0 } : found;
    preview.value = mine;
  }

  return {
    ...clickTool(
      "Click to see what is alike, click it again or press Enter to paint it; Escape drops it.",
      (spot) => {
        const at = pixelAt(spot);
        const proposed = preview.peek();
        if (proposed && holds(proposed, at.x, at.y)) return void commitPreview(bench);
        if (!inside(bench, at)) return void dropPreview();
        seed = { ...at, erase: spot.erase || spot.alt };
        propose(grey.peek().tile, wand.peek().tolerance, wand.peek().radius);
      },
    ),
    dispose,
  };
}
