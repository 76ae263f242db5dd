/** The wheel: zoom at the pointer; with Shift the size of the brush. */
import type { Point } from "../../raster/polygon";
import { brush, brushSize } from "../settings";
import type { View, Workbench } from "../workbench";
import { cursor } from "./cursor";
import { toScreen, zoomedAt } from "./view";
import { show, viewport } from "./viewport";

/** How far a turn goes, in pixels, whatever the browser counts in. */
function turned(event: WheelEvent): number {
  // with Shift some browsers turn the wheel sideways
  const delta = event.deltaY || event.deltaX;
  if (event.deltaMode === WheelEvent.DOM_DELTA_LINE) return delta * 33;
  return event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? delta * viewport.peek().height : delta;
}

/** Where the pointer is on the stage; wheel events only know it in whole pixels. */
function pointed(event: WheelEvent, stage: HTMLElement, view: View): Point {
  const corner = stage.getBoundingClientRect();
  const rough = { x: event.clientX - corner.left, y: event.clientY - corner.top };
  const last = cursor.peek();
  if (last === null || last.byKeys) return rough;
  const exact = toScreen(view, last.x, last.y);
  return Math.hypot(exact.x - rough.x, exact.y - rough.y) < 2 ? exact : rough;
}

/** Follow the wheel over `stage`; returns how to stop. */
export function followWheel(stage: HTMLElement, bench: Workbench): () => void {
  const turn = (event: WheelEvent) => {
    event.preventDefault();
    const delta = turned(event);
    if (event.shiftKey) {
      const size = brushSize.peek();
      const step = Math.max(1, Math.round(size / 8)) * -Math.sign(delta);
      brush.value = { ...brush.peek(), size: Math.min(256, Math.max(1, size + step)) };
      return;
    }
    // pinching a touch pad arrives as a wheel with Control, in smaller steps
    const factor = 2 ** (-Math.max(-240, Math.min(240, delta)) / (event.ctrlKey ? 80 : 260));
    const view = bench.view.peek();
    const { x, y } = pointed(event, stage, view);
    show(bench, zoomedAt(view, x, y, view.scale * factor));
  };
  stage.addEventListener("wheel", turn, { passive: false });
  return () => stage.removeEventListener("wheel", turn);
}
