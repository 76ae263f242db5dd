/** Put the layers on the visible canvas. */
import type { Rect } from "../../raster/types";
import type { View } from "../workbench";
import type { Size } from "./view";

/** What is drawn over what; null is not drawn. All but the ground are of the tile's size. */
export interface Scene {
  readonly ground: HTMLCanvasElement;
  /** Where the tile stands in the ground. */
  readonly box: Rect;
  readonly over: readonly (HTMLCanvasElement | null)[];
  /** Whether enlarged greys are smoothed. Labels never are. */
  readonly smooth: boolean;
}

/**
 * Draw the scene; with `part` only where those pixels of the tile stand. Every layer goes
 * through the same transform, so none can shift against another.
 */
export function compose(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: View,
  screen: Size & { readonly ratio: number },
  part: Rect | null,
): void {
  const scale = view.scale * screen.ratio;
  const left = -view.left * scale;
  const top = -view.top * scale;
  const { width, height } = context.canvas;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (part !== null) {
    // a pixel more, as smaller pictures mix neighbours
    const more = 1 + Math.ceil(1 / scale);
    const x = Math.floor((part.x - more) * scale + left);
    const y = Math.floor((part.y - more) * scale + top);
    const w = Math.ceil((part.w + 2 * more) * scale) + 1;
    const h = Math.ceil((part.h + 2 * more) * scale) + 1;
    if (x >= width || y >= height || x + w <= 0 || y + h <= 0) return context.restore();
    context.beginPath();
    context.rect(x, y, w, h);
    context.clip();
  }
  context.clearRect(0, 0, width, height);
  context.setTransform(scale, 0, 0, scale, left, top);
  const smaller = view.scale < 1;
  context.imageSmoothingEnabled = smaller || scene.smooth;
  context.imageSmoothingQuality = "medium";
  context.drawImage(scene.ground, -scene.box.x, -scene.box.y);
  context.imageSmoothingEnabled = smaller;
  // labels change with every dab, and better averages of them would be made anew each time
  context.imageSmoothingQuality = "low";
  for (const layer of scene.over) if (layer) context.drawImage(layer, 0, 0);
  context.restore();
}
