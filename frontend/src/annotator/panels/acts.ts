/** Small changes of the settings that keys and panels share. */
import type { Signal } from "@preact/signals";
import { UNKNOWN } from "../../raster/types";
import { tell } from "../../shell/toasts";
import { brush, brushSize, guard, hidden, paintValue, shownLabels, tool } from "../settings";
import type { Workbench } from "../workbench";

/** Paint this value from now on, with a tool that paints. */
export function choose(value: number): void {
  paintValue.value = value;
  if (["eraser", "picker", "restore", "pan"].includes(tool.value)) tool.value = "brush";
}

/** Go through the labels as they are listed, background and unknown at the end. */
export function cycleLabel(bench: Workbench, step: 1 | -1): void {
  const values = [...bench.sheet.project.labels.map((label) => label.value), 0, UNKNOWN];
  const at = values.indexOf(paintValue.value) + step;
  choose(values[(at + values.length) % values.length]);
}

/** The next brush size up or down: single pixels first, then by a tenth. */
export function resize(direction: 1 | -1): void {
  const step = Math.max(1, Math.round(brushSize.value / 10));
  const size = Math.min(256, Math.max(1, brushSize.value + direction * step));
  brush.value = { ...brush.value, size };
}

/** Paint over everything, only background, only the present label's pixels, and so on. */
export function cycleGuard(): void {
  const next = { all: "background", background: "only", only: "all" } as const;
  const mode = next[guard.value.mode];
  guard.value = { mode, value: paintValue.value };
  const says = {
    all: "Painting goes over everything.",
    background: "Painting goes over background only.",
    only: "Painting goes over the chosen label only.",
  };
  tell(says[mode]);
}

/** Mine, the pre-label, where they differ; without a pre-label there is only mine. */
export function cycleShown(bench: Workbench): void {
  const next = { mine: "prelabel", prelabel: "difference", difference: "mine" } as const;
  if (bench.sheet.prelabel === null) tell("This tile comes without a pre-label.");
  else shownLabels.value = next[shownLabels.value];
}

/** Put a value into a set or take it out. */
export function toggle(set: Signal<ReadonlySet<number>>, value: number): void {
  const next = new Set(set.value);
  if (!next.delete(value)) next.add(value);
  set.value = next;
}

/** Turn a switch among several settings. */
export function toggleIn<K extends string, T extends Record<K, boolean>>(
  setting: Signal<T>,
  name: K,
): void {
  setting.value = { ...setting.value, [name]: !setting.value[name] };
}

/** Hide every label but one; all again when it already is so. */
export function solo(bench: Workbench, value: number): void {
  const others = bench.sheet.project.labels
    .map((label) => label.value)
    .filter((other) => other !== value);
  const already = others.every((other) => hidden.value.has(other)) && !hidden.value.has(value);
  hidden.value = new Set(already ? [] : others);
}
