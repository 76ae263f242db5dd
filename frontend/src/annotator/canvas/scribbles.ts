/** Scribbles from which the watershed grows; not labels yet. */
import { signal } from "@preact/signals";
import type { Rect } from "../../raster/types";

export interface Scribbles {
  /** Tile-sized: 0 nothing, `none` for background, else a label's value or unknown. */
  readonly seeds: Uint8Array;
  readonly none: number;
  /** Where there are seeds. */
  readonly rect: Rect;
}

/** What has been scribbled since the last commit. */
export const scribbles = signal<Scribbles | null>(null);

/** What is being computed, in words; null when nothing is. */
export const working = signal<string | null>(null);
