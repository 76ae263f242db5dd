import { describe, expect, it } from "vitest";
import { apply } from "./apply";
import { beginStroke, disc, drag, endStroke } from "./brush";
import { region } from "./fill";
import { History } from "./history";
import { pack } from "./patch";
import { blotches, isSame, seeded } from "./seeded";
import type { Change, Raster } from "./types";

const ALL = new Uint8Array(256).fill(1);

function randomStep(random: (bound: number) => number, tile: Raster): Change | null {
  const { width, height } = tile;
  if (random(4) === 0) {
    return apply(tile, region(tile, random(width), random(height)), random(256), ALL);
  }
  const stroke = beginStroke(tile);
  const value = random(256);
  const footprint = disc(1 + random(20));
  let [x, y] = [random(width), random(height)];
  for (let part = 0; part < 4; part++) {
    const [toX, toY] = [random(width), random(height)];
    drag(tile, footprint, x, y, toX, toY, value, ALL, stroke);
    [x, y] = [toX, toY];
  }
  return endStroke(stroke);
}

describe("History", () => {
  it("undoes and redoes random strokes to the very bytes, also after a dump", () => {
    const random = seeded(10);
    for (let run = 0; run < 15; run++) {
      const tile = blotches(random, 97, 83, 4);
      let history = new History();
      // the states passed through, and where in them we are
      const states = [tile.data.slice()];
      let at = 0;
      for (let move = 0; move < 120; move++) {
        const what = random(5);
        if (what < 2) {
          const change = randomStep(random, tile);
          if (change === null) continue;
          history.push(change);
          states.length = ++at;
          states.push(tile.data.slice());
        } else if (what === 2) {
          expect(history.undo(tile) !== null).toBe(at > 0);
          at = Math.max(0, at - 1);
        } else if (what === 3) {
          expect(history.redo(tile) !== null).toBe(at < states.length - 1);
          at = Math.min(states.length - 1, at + 1);
        } else {
          const reloaded = new History();
          expect(reloaded.restore(history.dump())).toBe(true);
          expect(reloaded.bytes).toBe(history.bytes);
          history = reloaded;
        }
        expect(isSame(tile.data, states[at])).toBe(true);
        expect(history.depth).toBe(at);
        expect(history.canUndo).toBe(at > 0);
        expect(history.canRedo).toBe(at < states.length - 1);
      }
    }
  });

  it("keeps well over 100 strokes across a tile within its budget", () => {
    const random = seeded(11);
    const tile: Raster = { width: 1024, height: 1024, data: new Uint8Array(1024 * 1024) };
    const history = new History();
    const snapshots: Uint8Array[] = [];
    for (let i = 0; i < 110; i++) {
      const stroke = beginStroke(tile);
      drag(tile, disc(128), 0, random(1024), 1023, random(1024), 1 + (i % 5), ALL, stroke);
      if (i % 50 === 0) snapshots.push(tile.data.slice());
      const change = endStroke(stroke);
      if (change !== null) history.push(change);
    }
    expect(history.depth).toBe(110);
    expect(history.bytes).toBeLessThan(4 * 1024 * 1024);
    while (history.depth > 101) history.undo(tile);
    expect(isSame(tile.data, snapshots[2])).toBe(true);
    while (history.depth > 1) history.undo(tile);
    expect(isSame(tile.data, snapshots[0])).toBe(true);
  });

  it("drops the oldest steps when the budget is spent, and never the newest", () => {
    const random = seeded(12);
    const tile = blotches(random, 64, 64, 2);
    const history = new History(2000);
    for (let i = 0; i < 60; i++) {
      const change = randomStep(random, tile);
      if (change !== null) history.push(change);
      expect(history.bytes <= 2000 || history.depth === 1).toBe(true);
    }
    expect(history.canUndo).toBe(true);
    const last = tile.data.slice();
    history.undo(tile);
    history.redo(tile);
    expect(isSame(tile.data, last)).toBe(true);
  });

  it("refuses bytes that are no dump and is empty then", () => {
    const random = seeded(13);
    const tile = blotches(random, 40, 40, 3);
    const history = new History();
    for (let i = 0; i < 5; i++) {
      const change = randomStep(random, tile);
      if (change !== null) history.push(change);
    }
    const dump = history.dump();
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array([1, 2, 3]),
      dump.slice(0, -1),
      Uint8Array.from([...dump, 0]),
    ]) {
      const other = new History();
      expect(other.restore(bytes)).toBe(false);
      expect(other.canUndo || other.canRedo).toBe(false);
    }
  });

  it("refuses a step that does not fit the tile", () => {
    const history = new History();
    const rect = { x: 90, y: 0, w: 20, h: 1 };
    history.push({ rect, before: new Uint8Array(20), after: new Uint8Array(20).fill(1) });
    const small = { width: 100, height: 10, data: new Uint8Array(1000) };
    expect(() => history.undo(small)).toThrow(RangeError);
    expect(history.canUndo).toBe(true);
  });
});

describe("pack", () => {
  it("is small for what a brush does", () => {
    const tile: Raster = { width: 1024, height: 1024, data: new Uint8Array(1024 * 1024) };
    const stroke = beginStroke(tile);
    drag(tile, disc(64), 100, 100, 900, 800, 2, ALL, stroke);
    const change = endStroke(stroke);
    expect(change).not.toBeNull();
    if (change !== null) expect(pack(change).code.length).toBeLessThan(8 * change.rect.h);
  });
});
