/** The whole tile in a corner, while only a part of it is seen. */
import { useEffect, useRef } from "preact/hooks";
import { hidden, overlay } from "../settings";
import type { Workbench } from "../workbench";
import type { Painter } from "./painter";
import { shownGrey } from "./shown";
import { showsAll, toTile } from "./view";
import { jumpTo, viewport } from "./viewport";

const LONGEST = 150;

/** A small picture with a frame around what is seen; a press brings its place to the middle. */
export function Overview({ bench, painter }: { bench: Workbench; painter: Painter }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const screen = viewport.value;
  const view = bench.view.value;
  const revision = bench.revision.value;
  const grey = shownGrey(bench).value;
  const visible = screen.width > 0 && !showsAll(view, bench.raster, screen);
  const { width, height } = bench.raster;
  const scale = LONGEST / Math.max(width, height);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!visible || !context) return;
    // after the frame in which the layers are painted
    const frame = requestAnimationFrame(() => {
      const { x, y, w, h } = bench.sheet.box;
      context.imageSmoothingQuality = "medium";
      context.drawImage(painter.ground, x, y, w, h, 0, 0, size.width, size.height);
      if (overlay.value.visible) context.drawImage(painter.labels, 0, 0, size.width, size.height);
    });
    return () => cancelAnimationFrame(frame);
  }, [visible, revision, grey, overlay.value, hidden.value, painter, size.width]);

  if (!visible) return null;
  const end = toTile(view, screen.width, screen.height);
  const clamped = (at: number, most: number) => Math.min(most, Math.max(0, at));
  const left = clamped(view.left, width) * scale;
  const top = clamped(view.top, height) * scale;
  const go = (event: PointerEvent) => {
    if (event.buttons !== 1) return;
    const corner = (event.currentTarget as Element).getBoundingClientRect();
    const x = (event.clientX - corner.left) / scale;
    const y = (event.clientY - corner.top) / scale;
    jumpTo(bench, Math.floor(x), Math.floor(y), view.scale);
  };
  return (
    <div
      class="overview"
      style={{ width: `${size.width}px`, height: `${size.height}px` }}
      aria-hidden="true"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={go}
    >
      <canvas ref={canvas} width={size.width} height={size.height} />
      <i
        style={{
          left: `${left}px`,
          top: `${top}px`,
          width: `${clamped(end.x, width) * scale - left}px`,
          height: `${clamped(end.y, height) * scale - top}px`,
        }}
      />
    </div>
  );
}
