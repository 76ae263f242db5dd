/** Keeps the canvases true to the bench: at most once a frame, only what changed. */
import { effect, untracked } from "@preact/signals";
import { union, widened } from "../../raster/rect";
import type { Rect } from "../../raster/types";
import { paintHeat } from "../../raster/colours";
import { complain } from "../../shell/toasts";
import { overlay, peek, uncertainty } from "../settings";
import type { Workbench } from "../workbench";
import { compose } from "./compose";
import { normalEntropy } from "./hotspots";
import { paintGround } from "./layers/ground";
import { labelStyle, paintLabels } from "./layers/labels";
import { createLayer, type Layer } from "./layers/layer";
import { proposalPainter } from "./layers/proposal";
import { drawMarks, followMarks } from "./marks";
import { displayOf, shownGrey } from "./shown";
import { viewport } from "./viewport";

export interface Painter {
  /** The layers below the marks, for small pictures of the tile. */
  readonly ground: HTMLCanvasElement;
  readonly labels: HTMLCanvasElement;
  dispose(): void;
}

/** Paint a bench on two canvases that lie over each other: the picture and its marks. */
export function paintOn(
  picture: HTMLCanvasElement,
  marks: HTMLCanvasElement,
  bench: Workbench,
): Painter {
  const { sheet, raster } = bench;
  const whole: Rect = { x: 0, y: 0, w: raster.width, h: raster.height };
  const below = picture.getContext("2d", { alpha: true }) as CanvasRenderingContext2D;
  const above = marks.getContext("2d") as CanvasRenderingContext2D;
  const ground = createLayer(sheet.grey.width, sheet.grey.height);
  const labels = createLayer(raster.width, raster.height);
  const proposals = createLayer(raster.width, raster.height);
  const proposal = proposalPainter(proposals, bench);
  const grey = shownGrey(bench);
  let style = labelStyle(bench);
  let heat: Layer | null = null;
  let frame = 0;
  let recolour: Rect | null = null;
  let part: Rect | null = null;
  let all = true;
  let marked = true;
  let stopped = false;

  function paint(): void {
    frame = 0;
    if (recolour !== null) {
      // contours depend on neighbours
      const rect = widened(recolour, 1, raster.width, raster.height);
      paintLabels(labels, bench, style.source === "difference" ? whole : rect, style);
      part = union(part, rect);
      recolour = null;
    }
    const screen = viewport.peek();
    if (all || part !== null) {
      const over = overlay.peek();
      const bare = peek.peek();
      const scene = {
        ground: ground.canvas,
        box: sheet.box,
        over: [
          !bare && uncertainty.peek().visible && heat ? heat.canvas : null,
          !bare && over.visible ? labels.canvas : null,
          !bare ? proposals.canvas : null,
        ],
        smooth: displayOf(bench).smooth,
      };
      compose(below, scene, bench.view.peek(), screen, all ? null : part);
    }
    if (marked) drawMarks(above, bench);
    all = marked = false;
    part = null;
  }
  const soon = () => {
    frame ||= requestAnimationFrame(paint);
  };
  const again = () => {
    all = true;
    soon();
  };

  const stops = [
    bench.onTouched((rect) => {
      recolour = union(recolour, rect);
      soon();
    }),
    effect(() => {
      paintGround(ground, grey.value.picture, sheet.grey, sheet.box);
      again();
    }),
    effect(() => {
      style = labelStyle(bench);
      recolour = whole;
      again();
    }),
    effect(() => {
      part = union(part, proposal.paint());
      soon();
    }),
    effect(() => {
      const { visible, opacity, threshold } = uncertainty.value;
      if (visible) void warm(opacity, threshold).catch(complain);
      else again();
    }),
    effect(() => {
      void [bench.view.value, peek.value, overlay.value, displayOf(bench).smooth];
      again();
    }),
    effect(() => {
      const { width, height, ratio } = viewport.value;
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
      for (const canvas of [picture, marks]) {
        canvas.width = w;
        canvas.height = h;
        // whole device pixels, or the browser would blur them
        canvas.style.width = `${w / ratio}px`;
        canvas.style.height = `${h / ratio}px`;
      }
      // at once: the new size has cleared the canvases, and the next frame is too late
      all = marked = true;
      untracked(paint);
    }),
    effect(() => {
      followMarks(bench);
      marked = true;
      soon();
    }),
  ];

  async function warm(opacity: number, threshold: number): Promise<void> {
    const map = await normalEntropy(bench);
    if (map === null || stopped) return;
    heat ??= createLayer(raster.width, raster.height);
    heat.put(whole, (pixels) => paintHeat(map, 1, threshold, opacity, pixels));
    again();
  }

  return {
    ground: ground.canvas,
    labels: labels.canvas,
    dispose() {
      stopped = true;
      cancelAnimationFrame(frame);
      for (const stop of stops) stop();
      // browsers keep the memory of canvases for long otherwise
      for (const layer of [ground, labels, proposals, heat]) if (layer) layer.canvas.width = 0;
    },
  };
}
