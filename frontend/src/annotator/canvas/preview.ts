/** What a tool proposes: seen over the tile, in the labels only once it is committed. */
import { signal } from "@preact/signals";
import { apply, replace } from "../../raster/apply";
import type { Selection } from "../../raster/types";
import { paintValue } from "../settings";
import type { Workbench } from "../workbench";

/** Pixels and what they would become: `values` (whole tile), `value`, or what is painted with. */
export interface Proposal extends Selection {
  readonly value?: number;
  readonly values?: Uint8Array;
}

/** What Enter would commit. */
export const preview = signal<Proposal | null>(null);

/** Pixels that light up under the pointer. */
export const glimpse = signal<Selection | null>(null);

/** Write the proposal into the labels as one step; says whether there was one. */
export function commitPreview(bench: Workbench): boolean {
  const proposal = preview.peek();
  if (proposal === null) return false;
  preview.value = null;
  const { rect, bits, values, value = paintValue.peek() } = proposal;
  const allowed = bench.writable.peek();
  bench.done(
    values
      ? replace(bench.raster, values, rect, allowed, bits)
      : apply(bench.raster, proposal, value, allowed),
  );
  return true;
}

/** Forget the proposal; says whether there was one. */
export function dropPreview(): boolean {
  const had = preview.peek() !== null;
  preview.value = null;
  return had;
}

/** Whether a selection holds pixel (x, y). */
export function holds({ rect, bits }: Selection, x: number, y: number): boolean {
  const column = x - rect.x;
  const row = y - rect.y;
  if (column < 0 || row < 0 || column >= rect.w || row >= rect.h) return false;
  return bits[row * rect.w + column] === 1;
}
