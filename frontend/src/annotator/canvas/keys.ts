/** Keys that belong to the stage: those held with the pointer, and painting without one. */
import { effect } from "@preact/signals";
import { tool } from "../settings";
import type { Workbench } from "../workbench";
import { cursor, place } from "./cursor";
import type { Pointer } from "./pointer";
import { commitPreview, dropPreview } from "./preview";
import type { Spot } from "./tools/tool";
import { activeTool, temporaryTool, toolHeld, type Tools } from "./tools/tools";
import { pixelAt, toTile } from "./view";
import { show, viewport } from "./viewport";

/** Where an arrow key goes. */
export const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const MODIFIERS = new Set(["Shift", "Alt", "Control", "Meta", " "]);
/** Pixels a step with Shift goes. */
export const FAR = 10;
/** Where letters are text; sliders and boxes keep only the keys they use themselves. */
const TEXT =
  "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable]";

/** Listen until the returned function is called. */
export function followKeys(
  stage: HTMLElement,
  bench: Workbench,
  tools: Tools,
  pointer: Pointer,
): () => void {
  let space = false;
  let alt = false;
  // whether the pointer has been at work since something took the focus
  let pointing = false;
  // the crosshair's pen is on the tile
  let pressed = false;
  const stopFollowing = effect(() => {
    void tool.value;
    hold();
  });

  function hold(): void {
    temporaryTool.value = toolHeld(tool.peek(), space, alt);
  }
  const typing = ({ target }: Event) =>
    document.querySelector("dialog[open]") !== null ||
    (target instanceof Element &&
      target.closest(TEXT) !== null);
  const ours = ({ target }: Event) =>
    target === stage || target === document.body || (pointing && !cursor.peek()?.byKeys);

  function down(event: KeyboardEvent): void {
    if (event.isComposing || typing(event)) return;
    if (event.key === "Escape" && pointer.abandon()) return event.preventDefault();
    if (!MODIFIERS.has(event.key)) pointer.settle();
    if (event.key === "Alt") {
      // or the browser's menu takes the focus
      if (cursor.peek() !== null) event.preventDefault();
      alt = true;
      return hold();
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && ours(event)) {
      event.preventDefault();
      space = true;
      return hold();
    }
    if (event.target === stage && event.key in ARROWS) {
      event.preventDefault();
      return step(ARROWS[event.key], event.shiftKey ? FAR : 1);
    }
    if (consumed(event)) event.preventDefault();
  }

  function consumed(event: KeyboardEvent): boolean {
    const { key, shiftKey, target } = event;
    if (key === "Escape" || key === "Backspace") {
      if (lift(true)) return true;
      return tools[tool.peek()].key?.(key) || (key === "Escape" && dropPreview());
    }
    if (key !== "Enter" || !ours(event)) return false;
    if (!shiftKey && (lift() || tools[tool.peek()].key?.(key) || commitPreview(bench))) return true;
    if (target !== stage || !cursor.peek()?.byKeys) return false;
    if (!lift()) press(shiftKey);
    return true;
  }

  function spot(): Spot | null {
    const at = cursor.peek();
    return at && { x: at.x, y: at.y, erase: false, shift: false, alt };
  }

  function press(staying: boolean): void {
    const at = spot();
    const held = tools[activeTool.peek()];
    if (at === null) return;
    held.down(at);
    pressed = staying && held.cursor === "footprint";
    if (!pressed) held.up();
  }

  /** Take the crosshair's pen off the tile; says whether it was on it. */
  function lift(undone = false): boolean {
    if (!pressed) return false;
    pressed = false;
    if (undone) tools[tool.peek()].cancel();
    else tools[tool.peek()].up();
    return true;
  }

  function step([dx, dy]: readonly [number, number], length: number): void {
    const { width, height } = bench.raster;
    const screen = viewport.peek();
    const view = bench.view.peek();
    const from = pixelAt(cursor.peek() ?? toTile(view, screen.width / 2, screen.height / 2));
    const x = Math.min(width - 1, Math.max(0, from.x + dx * length)) + 0.5;
    const y = Math.min(height - 1, Math.max(0, from.y + dy * length)) + 0.5;
    place(bench, { x, y, byKeys: true });
    const at = spot();
    if (at && pressed) tools[tool.peek()].move([at]);
    // the picture follows the crosshair
    const end = toTile(view, screen.width, screen.height);
    const left = x < view.left ? x - 1 : x > end.x ? view.left + x + 1 - end.x : view.left;
    const top = y < view.top ? y - 1 : y > end.y ? view.top + y + 1 - end.y : view.top;
    show(bench, { ...view, left, top });
  }

  function up(event: KeyboardEvent): void {
    if (event.key === "Alt") alt = false;
    else if (event.key === " " && space) {
      // a button with the focus would be clicked
      event.preventDefault();
      space = false;
    } else return;
    hold();
  }
  const away = () => {
    space = alt = false;
    hold();
  };
  const focused = () => (pointing = false);
  const moved = () => (pointing = true);
  const blurred = () => {
    lift();
    if (cursor.peek()?.byKeys) place(bench, null);
  };

  addEventListener("keydown", down, { capture: true });
  addEventListener("keyup", up, { capture: true });
  addEventListener("blur", away);
  addEventListener("focusin", focused);
  stage.addEventListener("pointermove", moved);
  stage.addEventListener("blur", blurred);
  return () => {
    stopFollowing();
    lift();
    away();
    removeEventListener("keydown", down, { capture: true });
    removeEventListener("keyup", up, { capture: true });
    removeEventListener("blur", away);
    removeEventListener("focusin", focused);
    stage.removeEventListener("pointermove", moved);
    stage.removeEventListener("blur", blurred);
  };
}
