/** How a tile is looked at, as the address tells it: left, top, scale. */
import type { View } from "../workbench";

/** A view in the address. */
export function nameOfView({ left, top, scale }: View): string {
  return [left.toFixed(1), top.toFixed(1), scale.toPrecision(4)].map(Number).join(",");
}

/** The view an address names; null if it names none. */
export function namedView(name: string | null): View | null {
  const [left, top, scale, ...more] = (name ?? "").split(",").map(Number);
  const isView = more.length === 0 && [left, top, scale].every(Number.isFinite) && scale > 0;
  return isView ? { left, top, scale } : null;
}
