/** A whole image, small. */
import type { Image } from "../api/client";
import type { Rect } from "../raster/types";
import "./whole.css";

/** The image's smallest pyramid level, stretched to where its grey values lie. */
export function thumbnail(image: Image): string {
  const mean = image.mean ?? 127;
  const reach = 3 * (image.sd ?? 42) + 1;
  const low = Math.max(0, mean - reach).toFixed(1);
  return `/api/v1/images/${image.id}/region?level=${(image.levels ?? 1) - 1}&low=${low}&high=${(mean + reach).toFixed(1)}`;
}

/** The image with a frame where `box` lies in it; nothing where that is all there is. */
export function Whole({ image, box }: { image: Image; box: Rect }) {
  const { width, height } = image;
  if (!width || !height || (box.w >= width && box.h >= height)) return null;
  const part = (some: number, all: number) => `${(100 * some) / all}%`;
  const frame = { left: part(box.x, width), top: part(box.y, height), width: part(box.w, width), height: part(box.h, height) };
  return (
    <figure class="whole">
      <img loading="lazy" src={thumbnail(image)} alt={`The whole image, ${width} × ${height} px, with a frame around the tile`} />
      <i style={frame} />
    </figure>
  );
}
