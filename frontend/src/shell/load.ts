/** Values that come from the service: loading, there, or a problem with a way to try again. */
import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

export interface Loaded<T> {
  readonly value: Signal<T | undefined>;
  readonly error: Signal<Error | null>;
  /** Fetch it again; what was there stays until the new answer comes. */
  readonly again: () => Promise<void>;
}

/** Fetch something when a component appears and whenever `keys` change. */
export function useLoaded<T>(fetcher: () => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const loaded = useMemo(() => {
    const value = signal<T | undefined>(undefined);
    const error = signal<Error | null>(null);
    let asked = 0;
    let shown = 0;
    const again = async () => {
      const turn = ++asked;
      let answer: T | undefined;
      let problem: Error | null = null;
      try {
        answer = await fetcher();
      } catch (caught) {
        problem = caught as Error;
      }
      // an older answer never replaces a newer one, but counts until that one comes:
      // of a service that is asked more often than it answers nothing would be seen
      if (turn < shown) return;
      shown = turn;
      if (!problem) value.value = answer;
      error.value = problem;
    };
    return { value, error, again };
    // the keys say when the fetcher means something else
  }, keys);
  useEffect(() => void loaded.again(), [loaded]);
  return loaded;
}
