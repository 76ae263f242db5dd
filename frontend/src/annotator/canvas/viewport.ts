/** The part of the page the tile is seen in, and the ways to move in it. */
import { signal } from "@preact/signals";
import type { View, Workbench } from "../workbench";
import { centred, fitted, kept, type Size, zoomedAt } from "./view";

/** The stage's size in CSS pixels, and device pixels per CSS pixel. */
export const viewport = signal<Size & { readonly ratio: number }>({
  width: 0,
  height: 0,
  ratio: 1,
});

/** Take on a view; some of the tile always stays on the screen. */
export function show(bench: Workbench, view: View): void {
  const screen = viewport.peek();
  const wanted = screen.width > 0 ? kept(view, bench.raster, screen) : view;
  const { scale, left, top } = bench.view.peek();
  // an equal view would paint everything again
  if (scale === wanted.scale && left === wanted.left && top === wanted.top) return;
  bench.view.value = wanted;
}

/** Show the whole tile. */
export function fit(bench: Workbench): void {
  show(bench, fitted(bench.raster, viewport.peek()));
}

/** Zoom to a scale (1 is one screen pixel per image pixel) around the middle of the screen. */
export function zoomTo(bench: Workbench, scale: number): void {
  const { width, height } = viewport.peek();
  show(bench, zoomedAt(bench.view.peek(), width / 2, height / 2, scale));
}

/** Zoom in (factor above 1) or out around the pointer, or the middle when it is elsewhere. */
export function zoomBy(bench: Workbench, factor: number): void {
  const view = bench.view.peek();
  const { width, height } = viewport.peek();
  const at = bench.pointer.peek();
  const x = at === null ? width / 2 : (at.x + 0.5 - view.left) * view.scale;
  const y = at === null ? height / 2 : (at.y + 0.5 - view.top) * view.scale;
  show(bench, zoomedAt(view, x, y, view.scale * factor));
}

/** Bring pixel (x, y) to the middle of the screen, near enough to work on. */
export function jumpTo(bench: Workbench, x: number, y: number, scale?: number): void {
  const wanted = scale ?? Math.max(2, bench.view.peek().scale);
  show(bench, centred(x + 0.5, y + 0.5, wanted, viewport.peek()));
}

/** Take note of a new size; a tile that was shown whole is shown whole again. */
export function resize(bench: Workbench, width: number, height: number, ratio: number): void {
  const before = viewport.peek();
  if (before.width === width && before.height === height && before.ratio === ratio) return;
  const whole = fitted(bench.raster, before);
  const view = bench.view.peek();
  viewport.value = { width, height, ratio };
  const wasWhole = before.width === 0 || (whole.scale === view.scale && whole.left === view.left);
  if (wasWhole) fit(bench);
}
