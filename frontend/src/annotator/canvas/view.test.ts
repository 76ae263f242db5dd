import { describe, expect, it } from "vitest";
import { centred, fitted, kept, MOST_SCALE, pinched, pixelAt, showsAll, toScreen, toTile, zoomedAt } from "./view";

const tile = { width: 512, height: 384 };
const screen = { width: 1000, height: 700 };
const scales = [1 / 16, 0.3, 0.99, 1, 1.37, 2, 7.77, 13, MOST_SCALE];

describe("the view", () => {
  it("finds the same pixel under its own place on the screen at any scale", () => {
    for (const scale of scales) {
      const view = { scale, left: -17.3, top: 101.9 };
      for (const [x, y] of [[0, 0], [1, 7], [255, 256], [511, 383]]) {
        for (const part of [0.001, 0.5, 0.999]) {
          const place = toScreen(view, x + part, y + part);
          expect(pixelAt(toTile(view, place.x, place.y))).toEqual({ x, y });
        }
      }
    }
  });

  it("keeps the pixel under the pointer when it zooms", () => {
    let view = fitted(tile, screen);
    const before = toTile(view, 321, 123);
    for (const scale of [...scales, ...scales.toReversed()]) view = zoomedAt(view, 321, 123, scale);
    const after = toTile(view, 321, 123);
    expect(after.x).toBeCloseTo(before.x, 9);
    expect(after.y).toBeCloseTo(before.y, 9);
  });

  it("does not zoom beyond its limits", () => {
    expect(zoomedAt({ scale: 1, left: 0, top: 0 }, 0, 0, 1e6).scale).toBe(MOST_SCALE);
    expect(zoomedAt({ scale: 1, left: 0, top: 0 }, 0, 0, 0).scale).toBe(1 / 16);
  });

  it("shows the whole tile when it fits, and not when it is zoomed in", () => {
    const view = fitted(tile, screen);
    expect(showsAll(view, tile, screen)).toBe(true);
    expect(showsAll(zoomedAt(view, 500, 350, view.scale * 2), tile, screen)).toBe(false);
    // the middle of the tile is the middle of the screen
    expect(toTile(view, 500, 350)).toEqual({ x: 256, y: 192 });
  });

  it("never loses the tile from the screen", () => {
    for (const scale of scales) {
      for (const [left, top] of [[1e6, 1e6], [-1e6, -1e6], [1e6, -1e6]]) {
        const view = kept({ scale, left, top }, tile, screen);
        const start = toScreen(view, 0, 0);
        const end = toScreen(view, tile.width, tile.height);
        expect(end.x).toBeGreaterThan(1);
        expect(end.y).toBeGreaterThan(1);
        expect(start.x).toBeLessThan(screen.width - 1);
        expect(start.y).toBeLessThan(screen.height - 1);
      }
    }
  });

  it("leaves a view alone that is within bounds", () => {
    const view = centred(100, 100, 3, screen);
    expect(kept(view, tile, screen)).toEqual(view);
  });

  it("keeps what is under two fingers", () => {
    const view = { scale: 2, left: 10, top: 20 };
    const from = [{ x: 100, y: 100 }, { x: 200, y: 100 }] as const;
    const to = [{ x: 150, y: 300 }, { x: 450, y: 300 }] as const;
    const after = pinched(view, from, to);
    expect(after.scale).toBe(6);
    for (const i of [0, 1]) {
      const was = toTile(view, from[i].x, from[i].y);
      const is = toTile(after, to[i].x, to[i].y);
      expect(is.x).toBeCloseTo(was.x, 9);
      expect(is.y).toBeCloseTo(was.y, 9);
    }
  });
});
