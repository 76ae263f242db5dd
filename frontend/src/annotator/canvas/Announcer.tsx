/** Says in words what the crosshair is on, for those who do not see it. */
import { useSignalEffect } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { UNKNOWN } from "../../raster/types";
import type { Sheet, Workbench } from "../workbench";
import { cursor } from "./cursor";

/** More than this is noise in the ear. */
export const PAUSE_MS = 500;

type Painted = Pick<Workbench, "raster"> & { readonly sheet: Pick<Sheet, "project"> };

/** The label at pixel (x, y) in words. */
export function wordsAt(bench: Painted, x: number, y: number): string {
  const value = bench.raster.data[y * bench.raster.width + x];
  const label = bench.sheet.project.labels.find((each) => each.value === value);
  const name = value === 0 ? "background" : value === UNKNOWN ? "unknown" : label?.name;
  return `${name ?? `value ${value}`}, ${x} ${y}`;
}

/** A live region that follows the crosshair of the keyboard, a few times a second at most. */
export function Announcer({ bench }: { bench: Workbench }) {
  const [text, setText] = useState("");
  const timer = useRef(0);
  useSignalEffect(() => {
    const pixel = bench.pointer.value;
    // a change under the crosshair is news as well
    void bench.revision.value;
    clearTimeout(timer.current);
    if (pixel === null || !cursor.peek()?.byKeys) return;
    timer.current = window.setTimeout(() => setText(wordsAt(bench, pixel.x, pixel.y)), PAUSE_MS);
  });
  return (
    <p class="unseen" aria-live="polite">
      {text}
    </p>
  );
}
