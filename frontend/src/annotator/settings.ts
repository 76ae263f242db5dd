/** How this person likes to paint; remembered by this browser. */
import { computed, signal } from "@preact/signals";
import type { OverlayMode } from "../raster/colours";
import { stored } from "../shell/stored";

export type ToolName =
  | "brush"
  | "eraser"
  | "fill"
  | "holes"
  | "polygon"
  | "picker"
  | "wand"
  | "superpixel"
  | "watershed"
  | "threshold"
  | "restore"
  | "pan";
export type GuardMode = "all" | "background" | "only";

/** The tool the pointer holds. */
export const tool = signal<ToolName>("brush");
/** The value the pointer paints: 0 background, a label's value, 255 unknown. */
export const paintValue = signal(0);

export const brush = stored("brush", { size: 16, square: false });
export const wand = stored("wand", { tolerance: 12, radius: 64 });
export const superpixelSize = stored("superpixelSize", 16);
/** Grey range the threshold brush paints, in shown grey 0..255. */
export const threshold = stored("threshold", { low: 0, high: 110 });
/** What may be painted over: everything, only background, or only `value`. */
export const guard = stored<{ mode: GuardMode; value: number }>("guard", { mode: "all", value: 0 });
/** Labels nothing paints over. */
export const locked = signal<ReadonlySet<number>>(new Set());

export const overlay = stored("overlay", {
  visible: true,
  opacity: 0.45,
  mode: "both" as OverlayMode,
  patterns: false,
});
/** Labels that are not drawn. */
export const hidden = signal<ReadonlySet<number>>(new Set());
/** Held down: the raw image without anything over it. */
export const peek = signal(false);

/** How grey values are shown; never what they are. `low` and `high` null mean automatic. */
export interface Display {
  low: number | null;
  high: number | null;
  gamma: number;
  invert: boolean;
  clahe: boolean;
  smooth: boolean;
}
export const plainDisplay: Display = {
  low: null,
  high: null,
  gamma: 1,
  invert: false,
  clahe: false,
  smooth: false,
};
/** By project slug: the settings of one data set do not suit the next. */
export const displays = stored<Record<string, Display>>("displays", {});

/** The heat map over the tile: off at first sight, lest it anchor the eye. */
export const uncertainty = signal({ visible: false, opacity: 0.6, threshold: 0.35 });

/** Which labels are seen: mine, the pre-label, or where they differ. */
export const shownLabels = signal<"mine" | "prelabel" | "difference">("mine");

/** The cursor's diameter in whole pixels. */
export const brushSize = computed(() => Math.min(256, Math.max(1, Math.round(brush.value.size))));
