/** Strokes: many dabs that become one undoable step. */
import { cut } from "./rect";
import type { Change, Raster, Rect } from "./types";

/** A stroke under way; keeps what the touched blocks held before it. */
export interface Stroke {
  readonly raster: Raster;
  readonly columns: number;
  readonly blocks: (Uint8Array | undefined)[];
}

const BLOCK = 64;

/** Begins a stroke: what is painted from now on can be taken back as one step. */
export function beginStroke(raster: Raster): Stroke {
  const columns = Math.ceil(raster.width / BLOCK);
  const rows = Math.ceil(raster.height / BLOCK);
  return { raster, columns, blocks: Array.from({ length: columns * rows }) };
}

/** Ends a stroke: its one step, cut to the pixels that changed, or null if none did. */
export function endStroke(stroke: Stroke): Change | null {
  const { raster } = stroke;
  const rect = changed(stroke);
  if (rect === null) return null;
  const after = cut(raster.data, raster.width, rect);
  const before = after.slice();
  eachRow(stroke, (block, at, x, y, length) => {
    const from = Math.max(x, rect.x);
    const to = Math.min(x + length, rect.x + rect.w);
    if (y < rect.y || y >= rect.y + rect.h || from >= to) return;
    const cutRow = block.subarray(at + from - x, at + to - x);
    before.set(cutRow, (y - rect.y) * rect.w + from - rect.x);
  });
  return { rect, before, after };
}

/** Takes a stroke back before it has become a step; returns the box to redraw. */
export function cancelStroke(stroke: Stroke): Rect | null {
  const { width, data } = stroke.raster;
  const rect = changed(stroke);
  eachRow(stroke, (block, at, x, y, length) => {
    data.set(block.subarray(at, at + length), y * width + x);
  });
  return rect;
}

/** Keeps what the blocks under a square at (x, y) hold, if not done before. */
export function keep(stroke: Stroke, x: number, y: number, size: number): void {
  const { raster, columns, blocks } = stroke;
  const x0 = Math.max(0, Math.floor(x / BLOCK));
  const y0 = Math.max(0, Math.floor(y / BLOCK));
  const x1 = Math.floor((Math.min(raster.width, x + size) - 1) / BLOCK);
  const y1 = Math.floor((Math.min(raster.height, y + size) - 1) / BLOCK);
  for (let by = y0; by <= y1; by++) {
    for (let bx = x0; bx <= x1; bx++) {
      blocks[by * columns + bx] ??= cut(raster.data, raster.width, box(raster, bx, by));
    }
  }
}

function box(raster: Raster, bx: number, by: number): Rect {
  const x = bx * BLOCK;
  const y = by * BLOCK;
  return { x, y, w: Math.min(BLOCK, raster.width - x), h: Math.min(BLOCK, raster.height - y) };
}

type RowVisitor = (block: Uint8Array, at: number, x: number, y: number, length: number) => void;

function eachRow(stroke: Stroke, visit: RowVisitor): void {
  stroke.blocks.forEach((block, index) => {
    if (block === undefined) return;
    const by = Math.floor(index / stroke.columns);
    const { x, y, w, h } = box(stroke.raster, index - by * stroke.columns, by);
    for (let row = 0; row < h; row++) visit(block, row * w, x, y + row, w);
  });
}

function changed(stroke: Stroke): Rect | null {
  const { width, height, data } = stroke.raster;
  let left = width;
  let right = -1;
  let top = height;
  let bottom = -1;
  eachRow(stroke, (block, at, x, y, length) => {
    const start = y * width + x;
    for (let i = 0; i < length; i++) {
      if (block[at + i] === data[start + i]) continue;
      if (x + i < left) left = x + i;
      if (x + i > right) right = x + i;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
  });
  if (right < 0) return null;
  return { x: left, y: top, w: right - left + 1, h: bottom - top + 1 };
}
