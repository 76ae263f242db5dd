/** Slow tools off the page's thread: promises that a newer question of the same kind cancels. */
import type { Rect } from "../raster/types";
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
  /** Gives up what is being computed. */
  cancel(): void;
  /** Ends the workers; later questions are refused. */
  close(): void;
}

const spawnWorker: Spawn = () =>
  new Worker(new URL("./smart.worker.ts", import.meta.url), { type: "module" });

/** Makes the tools; a worker starts with the first question of its kind. */
export function createSmart(spawn: Spawn = spawnWorker): Smart {
  const superpixels = createLane("superpixels", spawn);
  const watershed = createLane("watershed", spawn);
  const lanes = [superpixels, watershed];
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
    cancel: () => lanes.forEach((lane) => lane.cancel()),
    close: () => lanes.forEach((lane) => lane.close()),
  };
}
