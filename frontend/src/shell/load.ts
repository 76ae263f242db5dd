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
    let latest = 0;
    const again = async () => {
      const asked = ++latest;
      try {
        const answer = await fetcher();
        if (asked !== latest) return;
        value.value = answer;
        error.value = null;
      } catch (problem) {
        if (asked === latest) error.value = problem as Error;
      }
    };
    return { value, error, again };
    // the keys say when the fetcher means something else
  }, keys);
  useEffect(() => void loaded.again(), [loaded]);
  return loaded;
}
