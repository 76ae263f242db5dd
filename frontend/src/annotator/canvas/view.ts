/** Where tile pixels stand on the screen. Screen places are CSS pixels from the stage's corner. */
import type { Point } from "../../raster/polygon";
import type { View } from "../workbench";

export const LEAST_SCALE = 1 / 16;
export const MOST_SCALE = 64;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The place in the tile under a place on the screen. */
export function toTile(view: View, x: number, y: number): Point {
  return { x: view.left + x / view.scale, y: view.top + y / view.scale };
}

/** The place on the screen of a place in the tile. */
export function toScreen(view: View, x: number, y: number): Point {
  return { x: (x - view.left) * view.scale, y: (y - view.top) * view.scale };
}

/** The pixel that covers a place in the tile. */
export function pixelAt(point: Point): Point {
  return { x: Math.floor(point.x), y: Math.floor(point.y) };
}

/** Another scale, with the place under screen point (x, y) kept there. */
export function zoomedAt(view: View, x: number, y: number, scale: number): View {
  const wanted = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, scale));
  const still = toTile(view, x, y);
  return { scale: wanted, left: still.x - x / wanted, top: still.y - y / wanted };
}

/** The picture moved by (dx, dy) screen pixels. */
export function panned(view: View, dx: number, dy: number): View {
  return { ...view, left: view.left - dx / view.scale, top: view.top - dy / view.scale };
}

/** Two fingers moved: what was under each of them stays there as well as it can. */
export function pinched(
  view: View,
  from: readonly [Point, Point],
  to: readonly [Point, Point],
): View {
  const [before, after] = [from, to].map(([a, b]) => ({
    x: (a.x + b.x) / 2,
    y: (a.y + b.y) / 2,
    apart: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)),
  }));
  const moved = panned(view, after.x - before.x, after.y - before.y);
  return zoomedAt(moved, after.x, after.y, (view.scale * after.apart) / before.apart);
}

/** Place (x, y) of the tile in the middle of the screen. */
export function centred(x: number, y: number, scale: number, screen: Size): View {
  return { scale, left: x - screen.width / 2 / scale, top: y - screen.height / 2 / scale };
}

/** The whole tile with a part of its ring of tissue. */
export function fitted(tile: Size, screen: Size): View {
  const rim = 24;
  const across = Math.max(1, screen.width - 2 * rim) / tile.width;
  const down = Math.max(1, screen.height - 2 * rim) / tile.height;
  const scale = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, Math.min(across, down)));
  return centred(tile.width / 2, tile.height / 2, scale, screen);
}

/** The view moved as little as needed for some of the tile to stay on the screen. */
export function kept(view: View, tile: Size, screen: Size): View {
  const least = Math.min(64, screen.width / 2, screen.height / 2) / view.scale;
  const within = (at: number, length: number, seen: number) =>
    Math.min(length - least, Math.max(least - seen, at));
  return {
    scale: view.scale,
    left: within(view.left, tile.width, screen.width / view.scale),
    top: within(view.top, tile.height, screen.height / view.scale),
  };
}

/** Whether all of the tile is on the screen. */
export function showsAll(view: View, tile: Size, screen: Size): boolean {
  const end = toTile(view, screen.width, screen.height);
  return view.left <= 0 && view.top <= 0 && end.x >= tile.width && end.y >= tile.height;
}
