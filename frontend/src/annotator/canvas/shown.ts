/** The greys of the tile as this person looks at them; computed once per change. */
import { computed, type ReadonlySignal } from "@preact/signals";
import { percentiles, shown } from "../../raster/display";
import type { Grey, Rect } from "../../raster/types";
import { type Display, displays, plainDisplay } from "../settings";
import type { Workbench } from "../workbench";

/** Shown greys 0..255, and the grey values that are black and white in them. */
export interface Shown {
  /** With the tissue around the tile; of `sheet.grey`'s size. */
  readonly picture: Uint8Array;
  /** The tile alone. */
  readonly tile: Uint8Array;
  readonly low: number;
  readonly high: number;
}

const known = new WeakMap<Workbench, ReadonlySignal<Shown>>();

/** How this bench's project is looked at. */
export function displayOf(bench: Workbench): Display {
  return displays.value[bench.sheet.project.slug] ?? plainDisplay;
}

/** What is seen of a bench's image now. */
export function shownGrey(bench: Workbench): ReadonlySignal<Shown> {
  const found = known.get(bench);
  if (found) return found;
  const { grey, box } = bench.sheet;
  const automatic = computed(() => percentiles(grey, 0.5, 99.5));
  // a text is equal to itself: other settings of the display compute nothing
  const wanted = computed(() => {
    const display = displayOf(bench);
    const low = display.low ?? automatic.value.low;
    const high = display.high ?? automatic.value.high;
    const { gamma, invert, clahe } = display;
    return JSON.stringify({ low, high, gamma, invert, clahe });
  });
  const made = computed(() => {
    const display = JSON.parse(wanted.value) as Parameters<typeof shown>[1];
    const picture = shown(grey, display);
    return { picture, tile: cropped(picture, grey, box), low: display.low, high: display.high };
  });
  known.set(bench, made);
  return made;
}

/** The part of the picture that is the tile; outside of the picture is black. */
function cropped(picture: Uint8Array, grey: Grey, box: Rect): Uint8Array {
  const tile = new Uint8Array(box.w * box.h);
  for (let row = 0; row < box.h; row++) {
    const from = (box.y + row) * grey.width + box.x;
    tile.set(picture.subarray(from, from + box.w), row * box.w);
  }
  return tile;
}
