/** Canvases at the image's own resolution. They are only ever written. */
import type { Rect } from "../../../raster/types";

export interface Layer {
  readonly canvas: HTMLCanvasElement;
  /** Replace the pixels of `rect`; `draw` fills an array of its size. */
  put(rect: Rect, draw: (pixels: Uint32Array) => void): void;
}

/** A clear layer. */
export function createLayer(width: number, height: number): Layer {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  return {
    canvas,
    put(rect, draw) {
      if (rect.w < 1 || rect.h < 1) return;
      const image = new ImageData(rect.w, rect.h);
      draw(new Uint32Array(image.data.buffer));
      context.putImageData(image, rect.x, rect.y);
    },
  };
}
