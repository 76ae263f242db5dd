import { describe, expect, it } from "vitest";
import { beginStroke, disc, endStroke, square, touch } from "../../raster/brush";
import { writable } from "../../raster/apply";
import { anchor, outlineOf } from "./footprint";

const all = writable({ mode: "all" }, new Set());

/** Every unit edge of the outline, from pixels that were really painted. */
function edgesOf(shape: ReturnType<typeof disc>, at: number, size: number): Set<string> {
  const raster = { width: size, height: size, data: new Uint8Array(size * size) };
  const stroke = beginStroke(raster);
  touch(raster, shape, at, at, 1, all, stroke);
  endStroke(stroke);
  const on = (x: number, y: number) => raster.data[y * size + x] === 1;
  const edges = new Set<string>();
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      if (on(x, y) !== on(x - 1, y)) edges.add(`v ${x - at} ${y - at}`);
      if (on(x, y) !== on(x, y - 1)) edges.add(`h ${x - at} ${y - at}`);
    }
  }
  return edges;
}

function unitEdges(segments: readonly (readonly number[])[]): Set<string> {
  const edges = new Set<string>();
  for (const [x0, y0, x1, y1] of segments) {
    for (let x = x0; x < x1; x++) edges.add(`h ${x} ${y0}`);
    for (let y = y0; y < y1; y++) edges.add(`v ${x0} ${y}`);
  }
  return edges;
}

describe("the brush's outline", () => {
  it.each([1, 2, 3, 4, 5, 8, 17, 64])("goes around exactly the pixels of a disc of %i", (size) => {
    expect(unitEdges(outlineOf(disc(size)))).toEqual(edgesOf(disc(size), 40, 80));
  });

  it("goes around a square", () => {
    expect(unitEdges(outlineOf(square(6)))).toEqual(edgesOf(square(6), 20, 40));
  });
});

describe("the anchor", () => {
  it("is the pixel under the pointer for odd sizes and the nearest corner for even ones", () => {
    expect(anchor(disc(1), { x: 4.99, y: 5 })).toEqual({ x: 4, y: 5 });
    expect(anchor(disc(3), { x: 4.99, y: 5.2 })).toEqual({ x: 4, y: 5 });
    expect(anchor(disc(2), { x: 4.6, y: 5.4 })).toEqual({ x: 5, y: 5 });
  });
});
