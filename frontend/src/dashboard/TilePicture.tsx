/** A small picture of a tile. */
import type { Schemas } from "../api/client";
import { boxed } from "../api/pixels";

/** The tile's grey, fetched when it comes into view. */
export function TilePicture({ tile }: { tile: Schemas["TileView"] }) {
  const { image_id, box, position } = tile;
  const source = `/api/v1/images/${image_id}/region?level=0&format=png&${boxed(box)}`;
  return <img class="tile" loading="lazy" src={source} alt={`Tile ${position} at ${box.x}, ${box.y}`} />;
}
