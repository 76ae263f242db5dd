/** The model's probability of the chosen label under the pointer, when it is wanted. */
import { effect, signal } from "@preact/signals";
import { complain } from "../../shell/toasts";
import { stored } from "../../shell/stored";
import { paintValue } from "../settings";
import type { Workbench } from "../workbench";

/** Whether it is read out. */
export const readOut = stored("readOut", { probability: false });

/** The map that is there now: 0..255 per pixel of the tile. */
export const probability = signal<{ value: number; map: Uint8Array } | null>(null);

/** Keep the map of the chosen label at hand while it is read out; returns how to stop. */
export function followProbability(bench: Workbench): () => void {
  const maps = new Map<number, Promise<Uint8Array | null>>();
  const stop = effect(() => {
    const value = paintValue.value;
    const label = bench.sheet.project.labels.find((candidate) => candidate.value === value);
    probability.value = null;
    if (!readOut.value.probability || !label || bench.sheet.prelabel === null) return;
    const asked = maps.get(value) ?? bench.sheet.probability(label);
    maps.set(value, asked);
    asked.then(
      (map) => {
        const wanted = readOut.peek().probability && paintValue.peek() === value;
        if (map && wanted && !stopped) probability.value = { value, map };
      },
      (error) => {
        maps.delete(value);
        complain(error);
      },
    );
  });
  let stopped = false;
  return () => {
    stopped = true;
    stop();
    probability.value = null;
  };
}
