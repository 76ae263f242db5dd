/** Parts of the page that are fetched when they are first needed. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

/** A component in place of one that has yet to come. */
export function lazily<P extends object>(fetching: () => Promise<ComponentType<P>>): ComponentType<P> {
  let known: ComponentType<P> | null = null;
  return function Lazily(props: P) {
    const [, come] = useState(false);
    const [failed, fail] = useState<{ error: unknown } | null>(null);
    useEffect(() => {
      if (known) return;
      fetching().then(
        (found) => {
          known = found;
          come(true);
        },
        (error: unknown) => fail({ error }),
      );
    }, []);
    if (failed) throw failed.error;
    const Known = known;
    return Known ? <Known {...props} /> : <p class="quiet">Loading …</p>;
  };
}
