/** Slow tools off the page's thread: promises that a newer question of the same kind cancels. */
import type { Rect, Selection } from "../raster/types";
import { createLane } from "./lane";
import type { Spawn } from "./lane";

export { Cancelled } from "./lane";

/** The slow tools. Arrays given in are copied and stay usable; `Cancelled` may be ignored. */
export interface Smart {
  superpixels(grey: Uint8Array, width: number, height: number, size: number): Promise<Int32Array>;
  watershed(
    grey: Uint8Array,
    width: number,
    height: number,
    seeds: Uint8Array,
    window: Rect,
  ): Promise<Uint8Array>;
  wand(
    grey: Uint8Array,
    width: number,
    height: number,
    x: number,
    y: number,
    tolerance: number,
    radius: number,
  ): Promise<Selection>;
  /** Gives up what is being computed. */
  cancel(): void;
  /** Ends the workers; later questions are refused. */
  close(): void;
}

const spawnWorker: Spawn = () =>
  new Worker(new URL("./smart.worker.ts", import.meta.url), { type: "module" });

/** Makes the tools; a worker starts with the first question of its kind. */
export function createSmart(spawn: Spawn = spawnWorker): Smart {
  const superpixels = createLane("superpixels", spawn, "stop");
  const watershed = createLane("watershed", spawn, "stop");
  // a wand takes milliseconds: to let it end is quicker than to start a worker
  const wand = createLane("wand", spawn, "finish");
  const lanes = [superpixels, watershed, wand];
  return {
    superpixels: (grey, width, height, size) =>
      superpixels.ask({ kind: "superpixels", grey: grey.slice(), width, height, size }),
    watershed: (grey, width, height, seeds, window) =>
      watershed.ask({
        kind: "watershed",
        grey: grey.slice(),
        width,
        height,
        seeds: seeds.slice(),
        window,
      }),
    wand: (grey, width, height, x, y, tolerance, radius) =>
      wand.ask({ kind: "wand", grey: grey.slice(), width, height, x, y, tolerance, radius }),
    cancel: () => lanes.forEach((lane) => lane.cancel()),
    close: () => lanes.forEach((lane) => lane.close()),
  };
}
