/** What every tool can do. Tools know nothing of the screen: they get places in the tile. */
import type { Point } from "../../../raster/polygon";
import type { Selection } from "../../../raster/types";
import type { Workbench } from "../../workbench";

/** A place of the pointer in the tile, in fractions of pixels, and what is held with it. */
export interface Spot extends Point {
  /** The eraser end of a pen or the right button. */
  readonly erase: boolean;
  readonly shift: boolean;
  readonly alt: boolean;
}

export interface Tool {
  readonly cursor: "footprint" | "cross" | "hand";
  /** What the tool does with the pointer and keys, in a line. */
  readonly hint: string;
  down(spot: Spot): void;
  /** All places since the last call, the newest last. */
  move(spots: readonly Spot[]): void;
  up(): void;
  /** Take back what is not finished. */
  cancel(): void;
  /** What a press would paint with the cursor at a place; read where signals are followed. */
  lights?(at: Point): Selection | null;
  /** A key the tool may take for itself; true if it did. */
  key?(key: string): boolean;
  dispose?(): void;
}

/** Whether a pixel lies in the tile. */
export function inside({ raster }: Workbench, { x, y }: Point): boolean {
  return x >= 0 && y >= 0 && x < raster.width && y < raster.height;
}
