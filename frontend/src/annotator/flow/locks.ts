/** Keeping what a task does not ask for as it is. */
import { UNKNOWN } from "../../raster/types";
import { locked, paintValue } from "../settings";
import type { Sheet } from "../workbench";

export interface Locks {
  /** Lock the labels a tile's task does not ask for, and choose one it asks for. */
  lay(sheet: Sheet, isFirst: boolean): void;
  /** Give the person their own locks back. */
  leave(): void;
}

/** Locks that make way for those of a task, and come back afterwards. */
export function makeLocks(): Locks {
  let own: ReadonlySet<number> | null = null;
  const leave = () => {
    if (own) locked.value = own;
    own = null;
  };
  return {
    lay({ asked, project }, isFirst) {
      const wanted = asked.map((label) => label.value);
      const others = project.labels.map((label) => label.value).filter((v) => !wanted.includes(v));
      if (others.length === 0) leave();
      else {
        own ??= locked.peek();
        locked.value = new Set(others);
      }
      const value = paintValue.peek();
      const isLabel = value !== 0 && value !== UNKNOWN;
      if (isLabel ? !wanted.includes(value) : isFirst) paintValue.value = wanted[0] ?? 0;
    },
    leave,
  };
}
