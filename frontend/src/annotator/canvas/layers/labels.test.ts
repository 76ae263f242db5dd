import { beforeEach, describe, expect, it } from "vitest";
import { fromHex } from "../../../raster/colours";
import type { Rect } from "../../../raster/types";
import { hidden, overlay, shownLabels } from "../../settings";
import { labels, specimen } from "../../specimen";
import { Workbench } from "../../workbench";
import { labelStyle, paintLabels } from "./labels";
import type { Layer } from "./layer";

let bench: Workbench;
const whole: Rect = { x: 0, y: 0, w: 64, h: 64 };

function painted(rect = whole): Uint32Array {
  let out = new Uint32Array(0);
  const layer: Layer = {
    canvas: document.createElement("canvas"),
    put: (box, draw) => draw((out = new Uint32Array(box.w * box.h))),
  };
  paintLabels(layer, bench, rect, labelStyle(bench));
  return out;
}
const opaque = (value: number) => fromHex(labels[value - 1].colour, 255);
const edges = (value: number) => painted().filter((pixel) => pixel === opaque(value)).length;

beforeEach(() => {
  overlay.value = { visible: true, opacity: 0.5, mode: "both", patterns: false };
  hidden.value = new Set();
  shownLabels.value = "mine";
  bench = new Workbench(specimen());
});

describe("the labels' layer", () => {
  it("is clear where there is no label or a hidden one", () => {
    bench = new Workbench(specimen(64, 16, { prelabel: null }));
    expect(painted().every((pixel) => pixel === 0)).toBe(true);
    bench.raster.data.fill(1);
    hidden.value = new Set([1]);
    expect(painted().every((pixel) => pixel === 0)).toBe(true);
  });

  it("outlines in dashes what the model suggests, until it is accepted", () => {
    const suggested = edges(2);
    expect(painted()[32 * 64 + 32]).toBe(0);
    bench.raster.data.set(bench.sheet.prelabel!.data);
    const own = edges(2);
    expect(suggested).toBeGreaterThan(own * 0.4);
    expect(suggested).toBeLessThan(own * 0.8);
    bench.raster.data.fill(1);
    expect(edges(2)).toBe(suggested);
    hidden.value = new Set([2]);
    expect(edges(2)).toBe(0);
  });

  it("shows the pre-label or the difference instead, without touching the labels", () => {
    shownLabels.value = "prelabel";
    expect(painted()[32 * 64 + 32]).not.toBe(0);
    shownLabels.value = "difference";
    expect(painted()[32 * 64 + 32]).toBe(fromHex("#e69f00", 128));
    bench.raster.data.set(bench.sheet.prelabel!.data);
    expect(painted().every((pixel) => pixel === 0)).toBe(true);
    expect(bench.raster.data).toEqual(bench.sheet.prelabel!.data);
  });

  it("draws a part as it draws the whole", () => {
    bench.raster.data.set(bench.sheet.prelabel!.data);
    bench.raster.data.fill(255, 0, 640);
    const all = painted();
    const rect = { x: 10, y: 5, w: 30, h: 40 };
    const part = painted(rect);
    for (let i = 0; i < part.length; i++) {
      const [x, y] = [rect.x + (i % rect.w), rect.y + Math.floor(i / rect.w)];
      expect(part[i]).toBe(all[y * 64 + x]);
    }
  });

  it("hatches unknown", () => {
    bench = new Workbench(specimen(64, 16, { prelabel: null }));
    bench.raster.data.fill(255);
    expect(new Set(painted()).size).toBe(2);
  });
});
