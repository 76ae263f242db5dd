/** Where the pointer or the keyboard's crosshair is. */
import { signal } from "@preact/signals";
import type { Point } from "../../raster/polygon";
import type { Workbench } from "../workbench";
import { pixelAt } from "./view";
import { inside } from "./tools/tool";

/** A place in the tile, in fractions of pixels. */
export interface Cursor extends Point {
  readonly byKeys: boolean;
}

export const cursor = signal<Cursor | null>(null);

/** Move the cursor; the bench is told only of another pixel. */
export function place(bench: Workbench, at: Cursor | null): void {
  cursor.value = at;
  const pixel = at && pixelAt(at);
  const before = bench.pointer.peek();
  if (pixel === null || !inside(bench, pixel)) {
    if (before !== null) bench.pointer.value = null;
  } else if (before?.x !== pixel.x || before.y !== pixel.y) {
    bench.pointer.value = pixel;
  }
}
