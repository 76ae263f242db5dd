/** The grey picture, dimmed where it is not the tile. */
import type { Grey, Rect } from "../../../raster/types";
import type { Layer } from "./layer";

const DIM = 0.45;

/** Draw the shown greys; what lies outside of `box` is dimmed. */
export function paintGround(layer: Layer, picture: Uint8Array, size: Grey, box: Rect): void {
  const full = Uint32Array.from({ length: 256 }, (_, grey) => opaque(grey));
  const dim = Uint32Array.from({ length: 256 }, (_, grey) => opaque(Math.round(grey * DIM)));
  layer.put({ x: 0, y: 0, w: size.width, h: size.height }, (pixels) => {
    for (let i = 0; i < pixels.length; i++) pixels[i] = dim[picture[i]];
    for (let y = box.y; y < box.y + box.h; y++) {
      const row = y * size.width;
      for (let i = row + box.x; i < row + box.x + box.w; i++) pixels[i] = full[picture[i]];
    }
  });
}

function opaque(grey: number): number {
  return (0xff000000 | (grey * 0x010101)) >>> 0;
}
