/** The uncertainty of the tile, and the way from one hot spot to the next. */
import { signal } from "@preact/signals";
import { type Hotspot, hotspots } from "../../raster/hotspots";
import type { Point } from "../../raster/polygon";
import { complain, tell } from "../../shell/toasts";
import { uncertainty } from "../settings";
import type { Workbench } from "../workbench";
import { jumpTo } from "./viewport";

/** Fewer uncertain pixels than this are noise. */
const LEAST_AREA = 12;

const maps = new WeakMap<Workbench, Promise<Float32Array | null>>();
const rounds = new WeakMap<Workbench, { threshold: number; spots: Hotspot[]; next: number }>();

/** A place that is pointed out on the tile for a moment. */
export const beacon = signal<Point | null>(null);

/** Places on a tile that may be slips, ringed until the tile is to be sent again. */
export const flagged = signal<{ bench: Workbench; places: readonly Point[] } | null>(null);

/**
 * Entropy per pixel from 0 to 1, where 1 means that every label and none are equally likely;
 * null when no model has seen the tile.
 */
export function normalEntropy(bench: Workbench): Promise<Float32Array | null> {
  const found = maps.get(bench);
  if (found) return found;
  const asked = bench.sheet.entropy().then((nats) => {
    const most = Math.log(bench.sheet.project.labels.length + 1);
    return nats && nats.map((value) => value / most);
  });
  maps.set(bench, asked);
  // what failed may be asked for again
  asked.catch(() => maps.delete(bench));
  return asked;
}

/** Bring the next most uncertain place to the middle and say which of how many it is. */
export async function nextHotspot(bench: Workbench): Promise<void> {
  try {
    const map = await normalEntropy(bench);
    if (map === null) return tell("No model has looked at this tile, so nothing is uncertain yet.");
    const { threshold } = uncertainty.peek();
    const round = rounds.get(bench);
    const { width, height } = bench.raster;
    const spots =
      round?.threshold === threshold
        ? round.spots
        : hotspots(map, width, height, { threshold, minimumArea: LEAST_AREA });
    const next = round?.threshold === threshold ? round.next : 0;
    if (spots.length === 0) return tell("Nothing here is that uncertain. Lower the threshold.");
    const spot = spots[next];
    rounds.set(bench, { threshold, spots, next: (next + 1) % spots.length });
    jumpTo(bench, spot.x, spot.y);
    const here = { x: spot.x + 0.5, y: spot.y + 0.5 };
    beacon.value = here;
    setTimeout(() => beacon.peek() === here && (beacon.value = null), 1500);
    tell(`Hot spot ${next + 1} of ${spots.length}`);
  } catch (error) {
    complain(error);
  }
}
