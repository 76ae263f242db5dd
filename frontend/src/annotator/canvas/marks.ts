/** Lines of the screen's own width: the tile's border, the cursor, an outline, a beacon, pins. */
import { computed } from "@preact/signals";
import { pins } from "../flow/actions";
import { peek } from "../settings";
import type { Workbench } from "../workbench";
import { cursor } from "./cursor";
import { anchor, footprint, outlineOf } from "./footprint";
import { beacon, flagged } from "./hotspots";
import { outline } from "./tools/polygon";
import { activeTool, tools } from "./tools/tools";
import { viewport } from "./viewport";

const footprintPath = computed(() => {
  const path = new Path2D();
  for (const [x0, y0, x1, y1] of outlineOf(footprint.value)) {
    path.moveTo(x0, y0);
    path.lineTo(x1, y1);
  }
  return path;
});

const ARMS = [
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
] as const;

/** Read everything the marks depend on, for an effect that has them drawn. */
export function followMarks(bench: Workbench): void {
  const all = [bench.view, viewport, pins, cursor, outline, beacon, flagged, peek, footprint, activeTool, tools];
  for (const each of all) void each.value;
}

/** Draw all marks of a bench. */
export function drawMarks(context: CanvasRenderingContext2D, bench: Workbench): void {
  const { ratio } = viewport.peek();
  const view = bench.view.peek();
  const scale = view.scale * ratio;
  const x = (at: number) => (at - view.left) * scale;
  const y = (at: number) => (at - view.top) * scale;
  /** Dark under light, so that a line is seen on any grey. */
  const stroke = (path: Path2D, width: number, unit = 1, dash: readonly number[] = []) => {
    for (const [colour, more] of [["rgb(0 0 0 / 75%)", 2], ["#fff", 0]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = ((width + more) * ratio) / unit;
      context.setLineDash(more === 0 ? dash.map((length) => (length * ratio) / unit) : []);
      context.stroke(path);
    }
  };

  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  context.lineCap = "square";

  const border = new Path2D();
  const { width, height } = bench.raster;
  border.rect(x(0) - ratio, y(0) - ratio, width * scale + 2 * ratio, height * scale + 2 * ratio);
  stroke(border, 1);

  const drawn = outline.peek();
  const at = cursor.peek();
  if (drawn) {
    const path = new Path2D();
    const ends = at ? [...drawn.points, at] : drawn.points;
    ends.forEach((point, index) =>
      index === 0 ? path.moveTo(x(point.x), y(point.y)) : path.lineTo(x(point.x), y(point.y)),
    );
    const [first] = drawn.points;
    path.rect(x(first.x) - 3 * ratio, y(first.y) - 3 * ratio, 6 * ratio, 6 * ratio);
    stroke(path, 1, 1, drawn.subtract ? [4, 4] : []);
  }

  const spot = beacon.peek();
  if (spot) {
    const path = new Path2D();
    path.arc(x(spot.x), y(spot.y), Math.max(12 * ratio, 6 * scale), 0, 2 * Math.PI);
    stroke(path, 2);
  }

  const slips = flagged.peek();
  if (slips?.bench === bench && slips.places.length > 0) {
    const path = new Path2D();
    const radius = Math.max(7 * ratio, 2.5 * scale);
    for (const place of slips.places) {
      const [left, top] = [x(place.x + 0.5), y(place.y + 0.5)];
      path.moveTo(left + radius, top);
      path.arc(left, top, radius, 0, 2 * Math.PI);
    }
    stroke(path, 1.5);
  }

  pins.peek().forEach((pin, index) => {
    if (pin.x === null || pin.y === null) return;
    const [left, top, radius] = [x(pin.x + 0.5), y(pin.y + 0.5), 9 * ratio];
    const path = new Path2D();
    path.arc(left, top, radius, 0, 2 * Math.PI);
    context.fillStyle = "rgb(0 0 0 / 75%)";
    context.fill(path);
    stroke(path, 1);
    context.fillStyle = "#fff";
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(index + 1), left, top);
  });

  if (at === null || peek.peek()) return;
  const name = activeTool.peek();
  const footed = tools.peek()?.[name].cursor === "footprint";
  const size = footed ? footprint.peek().size * view.scale : 0;
  if (at.byKeys || (footed && size < 6)) {
    // too small to be found by its outline alone
    const path = new Path2D();
    const gap = Math.max(4, size) * ratio;
    const arm = (at.byKeys ? 24 : 7) * ratio;
    // of one pixel the middle is meant, not where in it the pointer is
    const [cx, cy] = [x(Math.floor(at.x) + 0.5), y(Math.floor(at.y) + 0.5)];
    for (const [dx, dy] of ARMS) {
      path.moveTo(cx + dx * gap, cy + dy * gap);
      path.lineTo(cx + dx * (gap + arm), cy + dy * (gap + arm));
    }
    stroke(path, 1);
  }
  if (!footed) return;
  const pixel = anchor(footprint.peek(), at);
  context.setTransform(scale, 0, 0, scale, x(pixel.x), y(pixel.y));
  stroke(footprintPath.peek(), 1, scale, name === "eraser" ? [3, 3] : []);
}
