/** Pixels per label, kept up with the painting without slowing it down. */
import { effect, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { shares } from "../../raster/shares";
import type { Workbench } from "../workbench";

const PAUSE = 250;

/** Pixels per value (256 entries) of a tile; at most four counts a second. */
export function watchShares(bench: Workbench): { counts: ReadonlySignal<Uint32Array>; stop: () => void } {
  const counts = signal(shares(bench.raster));
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let seen = bench.revision.peek();
  const stop = effect(() => {
    if (bench.revision.value === seen || waiting !== undefined) return;
    waiting = setTimeout(() => {
      waiting = undefined;
      seen = bench.revision.peek();
      counts.value = shares(bench.raster);
    }, PAUSE);
  });
  return {
    counts,
    stop: () => {
      stop();
      clearTimeout(waiting);
    },
  };
}

/** The same, for as long as a component shows them. */
export function useShares(bench: Workbench): ReadonlySignal<Uint32Array> {
  const watched = useMemo(() => watchShares(bench), [bench]);
  useEffect(() => watched.stop, [watched]);
  return watched.counts;
}

/** A share as people read it: "12.3 %", "< 0.1 %", "–" for none. */
export function shareText(pixels: number, total: number): string {
  if (pixels === 0) return "–";
  const percent = (100 * pixels) / total;
  return percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}
