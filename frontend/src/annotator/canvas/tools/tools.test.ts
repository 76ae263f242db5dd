import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { superpixels } from "../../../raster/superpixels";
import { watershed } from "../../../raster/watershed";
import type { Smart } from "../../../smart/smart";
import { brush, guard, locked, paintValue, superpixelSize, threshold, tool, wand } from "../../settings";
import { specimen } from "../../specimen";
import { Workbench } from "../../workbench";
import { cursor } from "../cursor";
import { commitPreview, dropPreview, glimpse, preview } from "../preview";
import { scribbles, working } from "../scribbles";
import { outline } from "./polygon";
import type { Spot, Tool } from "./tool";
import { lightUp, makeTools, toolHeld, type Tools } from "./tools";

const smart: Smart = {
  superpixels: async (...question) => superpixels(...question),
  watershed: async (...question) => watershed(...question),
  cancel() {},
  close() {},
};

const at = (x: number, y: number, held: Partial<Spot> = {}): Spot => ({
  x: x + 0.5,
  y: y + 0.5,
  erase: false,
  shift: false,
  alt: false,
  ...held,
});

let bench: Workbench;
let made: Tools;
let stop: () => void;

const value = (x: number, y: number) => bench.raster.data[y * bench.raster.width + x];
const count = (wanted: number) => bench.raster.data.filter((each) => each === wanted).length;
const click = (held: Tool, spot: Spot) => {
  held.down(spot);
  held.up();
};
const drag = (held: Tool, ...spots: Spot[]) => {
  held.down(spots[0]);
  held.move(spots.slice(1));
  held.up();
};

function open(changes = {}) {
  bench = new Workbench(specimen(64, 16, changes));
  made = makeTools(bench, smart);
  stop = lightUp(made);
}

beforeEach(() => {
  tool.value = "brush";
  paintValue.value = 1;
  brush.value = { size: 1, square: false };
  guard.value = { mode: "all", value: 0 };
  locked.value = new Set();
  wand.value = { tolerance: 12, radius: 64 };
  open();
});
afterEach(() => {
  stop();
  cursor.value = null;
  for (const each of Object.values(made)) each.dispose?.();
  dropPreview();
  outline.value = null;
});

describe("the brush", () => {
  it("sets one pixel with a size of one, before it returns", () => {
    made.brush.down(at(5, 6));
    expect(count(1)).toBe(1);
    expect(value(5, 6)).toBe(1);
  });

  it("leaves no gaps in fast strokes", () => {
    drag(made.brush, at(2, 3), at(60, 21), at(10, 60));
    const seen = bench.raster.data;
    const reached = new Set<number>();
    const stack = [3 * 64 + 2];
    for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
      if (reached.has(i) || seen[i] !== 1) continue;
      reached.add(i);
      for (const step of [-65, -64, -63, -1, 1, 63, 64, 65]) stack.push(i + step);
    }
    expect(reached.has(21 * 64 + 60) && reached.has(60 * 64 + 10)).toBe(true);
    expect(reached.size).toBe(count(1));
  });

  it("makes one step of a stroke and takes it back bit by bit the same", () => {
    brush.value = { size: 9, square: false };
    drag(made.brush, at(8, 8), at(50, 20), at(8, 40));
    const painted = bench.raster.data.slice();
    expect(bench.revision.value).toBe(1);
    bench.undo();
    expect(count(0)).toBe(64 * 64);
    bench.redo();
    expect(bench.raster.data).toEqual(painted);
  });

  it("forgets a stroke that is cancelled", () => {
    made.brush.down(at(8, 8));
    made.brush.move([at(30, 8)]);
    made.brush.cancel();
    made.brush.up();
    expect(count(0)).toBe(64 * 64);
    expect(bench.history.canUndo).toBe(false);
  });

  it("paints over the edge of the tile without harm", () => {
    brush.value = { size: 11, square: true };
    drag(made.brush, at(-3, -3), at(70, 70));
    expect(value(0, 0)).toBe(1);
    expect(value(63, 63)).toBe(1);
  });

  it("paints only background when that is all that may be painted over", () => {
    drag(made.brush, at(10, 10), at(20, 10));
    guard.value = { mode: "background", value: 0 };
    paintValue.value = 2;
    drag(made.brush, at(15, 5), at(15, 15));
    expect(value(15, 10)).toBe(1);
    expect(value(15, 11)).toBe(2);
    drag(made.eraser, at(10, 10), at(20, 10));
    expect(count(1)).toBe(0);
  });

  it("paints only over one label when that is asked", () => {
    drag(made.brush, at(10, 10), at(20, 10));
    guard.value = { mode: "only", value: 1 };
    paintValue.value = 2;
    drag(made.brush, at(15, 5), at(15, 15));
    expect(count(2)).toBe(1);
    drag(made.eraser, at(15, 5), at(15, 15));
    expect(count(2)).toBe(1);
  });

  it("leaves locked labels alone, erasing included", () => {
    drag(made.brush, at(10, 10), at(20, 10));
    locked.value = new Set([1]);
    paintValue.value = 2;
    drag(made.brush, at(10, 10), at(20, 10));
    drag(made.eraser, at(10, 10), at(20, 10));
    expect(count(1)).toBe(11);
  });

  it("paints background with the pen's other end", () => {
    drag(made.brush, at(10, 10), at(20, 10));
    drag(made.brush, at(10, 10, { erase: true }), at(14, 10));
    expect(count(1)).toBe(6);
  });
});

describe("painting with a condition", () => {
  it("paints only the grey range", () => {
    threshold.value = { low: 0, high: 40 };
    brush.value = { size: 60, square: true };
    click(made.threshold, at(32, 32));
    expect(value(32, 32)).toBe(1);
    expect(value(5, 5)).toBe(0);
    expect(count(1)).toBe(bench.sheet.prelabel?.data.filter((each) => each === 2).length);
  });

  it("brings the pre-label back, background and labels alike, in one step", () => {
    bench.raster.data.fill(3);
    brush.value = { size: 40, square: true };
    click(made.restore, at(20, 20));
    expect(value(30, 30)).toBe(2);
    expect(value(2, 2)).toBe(0);
    expect(value(60, 60)).toBe(3);
    bench.undo();
    expect(count(3)).toBe(64 * 64);
  });

  it("restores nothing where there is no pre-label", () => {
    open({ prelabel: null });
    bench.raster.data.fill(3);
    click(made.restore, at(20, 20));
    expect(count(3)).toBe(64 * 64);
  });
});

describe("filling", () => {
  beforeEach(() => {
    paintValue.value = 2;
    brush.value = { size: 1, square: false };
    drag(made.brush, at(10, 10), at(20, 10), at(20, 20), at(10, 20), at(10, 10));
  });

  it("fills up to the next label", () => {
    paintValue.value = 1;
    click(made.fill, at(15, 15));
    expect(count(1)).toBe(81);
    expect(count(2)).toBe(40);
  });

  it("fills the holes of a structure with its own label", () => {
    paintValue.value = 3;
    click(made.fill, at(10, 15, { shift: true }));
    expect(count(2)).toBe(121);
    bench.undo();
    click(made.holes, at(10, 15));
    expect(count(2)).toBe(121);
  });

  it("does nothing outside of the tile", () => {
    const before = bench.raster.data.slice();
    click(made.fill, at(-1, 5));
    click(made.fill, at(64, 5));
    expect(bench.raster.data).toEqual(before);
  });
});

describe("the polygon", () => {
  const corners = [at(10, 10), at(20, 10), at(20, 20), at(10, 20)];

  it("takes corners by clicks, and Enter paints what lies inside", () => {
    for (const corner of corners) click(made.polygon, corner);
    expect(count(1)).toBe(0);
    expect(made.polygon.key?.("Enter")).toBe(true);
    expect(count(1)).toBe(100);
    expect(outline.value).toBeNull();
  });

  it("goes back by a corner and cancels", () => {
    for (const corner of corners) click(made.polygon, corner);
    made.polygon.key?.("Backspace");
    expect(outline.value?.points).toHaveLength(3);
    made.polygon.key?.("Escape");
    expect(made.polygon.key?.("Enter")).toBe(false);
    expect(bench.history.canUndo).toBe(false);
  });

  it("closes on its first corner", () => {
    for (const corner of corners) click(made.polygon, corner);
    click(made.polygon, at(10, 10));
    expect(count(1)).toBe(100);
  });

  it("draws a lasso when it is dragged, and takes away with Alt", () => {
    drag(made.polygon, ...corners);
    expect(count(1)).toBe(100);
    drag(made.polygon, { ...corners[0], alt: true }, ...corners.slice(1));
    expect(count(1)).toBe(0);
  });
});

describe("what is proposed first", () => {
  it("the wand paints only when it is taken", () => {
    click(made.wand, at(32, 32));
    expect(count(1)).toBe(0);
    const proposed = preview.value?.bits.reduce((sum, bit) => sum + bit, 0);
    expect(proposed).toBeGreaterThan(500);
    click(made.wand, at(33, 33));
    expect(count(1)).toBe(proposed);
    expect(preview.value).toBeNull();
    bench.undo();
    expect(count(1)).toBe(0);
  });

  it("the wand follows its settings while it proposes", () => {
    click(made.wand, at(32, 32));
    const before = preview.value;
    wand.value = { tolerance: 255, radius: 8 };
    expect(preview.value).not.toBe(before);
    expect(preview.value?.rect.w).toBe(17);
    dropPreview();
    wand.value = { tolerance: 255, radius: 9 };
    expect(preview.value).toBeNull();
  });

  it("scribbles grow to the edge; the rest of the tile stays", async () => {
    bench.raster.data.fill(3, 0, 64);
    paintValue.value = 2;
    drag(made.watershed, at(28, 32), at(36, 32));
    drag(made.watershed, at(5, 50, { alt: true }), at(60, 60));
    drag(made.watershed, at(5, 10, { alt: true }), at(60, 10));
    await expect.poll(() => preview.value).not.toBeNull();
    expect(count(2)).toBe(0);
    expect(made.watershed.key?.("Enter")).toBe(true);
    const disc = bench.sheet.prelabel?.data.filter((each) => each === 2).length ?? 0;
    expect(Math.abs(count(2) - disc)).toBeLessThan(disc * 0.15);
    expect(count(3)).toBe(64);
    expect(scribbles.value).toBeNull();
    bench.undo();
    expect(count(2)).toBe(0);
  });

  it("one scribble alone proposes nothing, and Escape wipes it", async () => {
    drag(made.watershed, at(28, 32), at(36, 32));
    await Promise.resolve();
    expect(preview.value).toBeNull();
    expect(made.watershed.key?.("Escape")).toBe(true);
    expect(scribbles.value).toBeNull();
    expect(made.watershed.key?.("Escape")).toBe(false);
  });

  it("superpixels light up under the pointer and are painted whole, as one step", async () => {
    superpixelSize.value = 8;
    tool.value = "superpixel";
    cursor.value = { ...at(5, 5), byKeys: true };
    await expect.poll(() => working.value).toBeNull();
    cursor.value = { ...at(32, 32), byKeys: false };
    const area = glimpse.value?.bits.reduce((sum, bit) => sum + bit, 0) ?? 0;
    expect(area).toBeGreaterThan(8);
    click(made.superpixel, at(32, 32));
    expect(count(1)).toBe(area);
    drag(made.superpixel, at(32, 32), at(60, 32));
    expect(count(1)).toBeGreaterThan(area * 2);
    bench.undo();
    expect(count(1)).toBe(area);
    made.superpixel.down(at(5, 5));
    made.superpixel.cancel();
    expect(count(1)).toBe(area);
  });

  it("the grey range lights up what the brush would paint, whoever moves the cursor", () => {
    tool.value = "threshold";
    threshold.value = { low: 0, high: 40 };
    brush.value = { size: 60, square: true };
    cursor.value = { ...at(32, 32), byKeys: true };
    const lit = () => glimpse.value?.bits.reduce((sum, bit) => sum + bit, 0);
    const disc = bench.sheet.prelabel?.data.filter((each) => each === 2).length;
    expect(lit()).toBe(disc);
    locked.value = new Set([0]);
    expect(lit()).toBe(0);
    locked.value = new Set();
    cursor.value = { ...at(2, 32), byKeys: true };
    const part = lit();
    expect(part).toBeLessThan(disc!);
    click(made.threshold, at(2, 32));
    expect(count(1)).toBe(part);
    cursor.value = null;
    expect(glimpse.value).toBeNull();
  });

  it("a plain selection is committed with the chosen label", () => {
    preview.value = { rect: { x: 1, y: 1, w: 2, h: 1 }, bits: Uint8Array.of(1, 0) };
    expect(commitPreview(bench)).toBe(true);
    expect(commitPreview(bench)).toBe(false);
    expect([value(1, 1), value(2, 1)]).toEqual([1, 0]);
  });
});

describe("held keys", () => {
  it("make the brush an eraser and anything a hand", () => {
    expect(toolHeld("brush", false, false)).toBeNull();
    expect(toolHeld("brush", false, true)).toBe("eraser");
    expect(toolHeld("polygon", false, true)).toBeNull();
    expect(toolHeld("polygon", true, true)).toBe("pan");
  });

  it("the picker takes what is there", () => {
    bench.raster.data[0] = 255;
    click(made.picker, at(0, 0));
    expect(paintValue.value).toBe(255);
    expect(tool.value).toBe("brush");
  });
});
