/** Mouse, pen and fingers on the stage. */
import { signal } from "@preact/signals";
import type { Point } from "../../raster/polygon";
import { tool } from "../settings";
import type { Workbench } from "../workbench";
import { cursor, place } from "./cursor";
import { pick } from "./tools/picker";
import type { Spot, Tool } from "./tools/tool";
import { temporaryTool, toolHeld, type Tools } from "./tools/tools";
import { panned, pinched, toTile } from "./view";
import { show } from "./viewport";

const PEN_ERASER = 32;

/** Tools that read Shift for themselves; with all others it picks a label. */
const SHIFT = new Set(["fill", "polygon", "pan"]);

/** Whether a pen has been here since the page was loaded; from then on fingers only move the picture. */
export const penSeen = signal(false);

/** What a press does until it is let go. */
type Press =
  | { readonly kind: "tool"; readonly id: number; readonly tool: Tool; again: Spot | null }
  | { readonly kind: "pan"; readonly id: number; at: Point; picks: boolean };

export interface Pointer {
  /** End an open stroke as a step of its own; it goes on with the next move. */
  settle(): void;
  /** Take an open press back; says whether there was one. */
  abandon(): boolean;
  dispose(): void;
}

/**
 * Follow the pointer on `stage`. After every event that may have painted the stage gets a
 * "painted" event whose detail is the time stamp of its cause.
 */
export function followPointer(stage: HTMLElement, bench: Workbench, tools: Tools): Pointer {
  const fingers = new Map<number, Point>();
  let corner = stage.getBoundingClientRect();
  let press: Press | null = null;
  let latest: Spot | null = null;
  const measure = () => (corner = stage.getBoundingClientRect());

  const screen = (event: MouseEvent): Point => ({
    x: event.clientX - corner.left,
    y: event.clientY - corner.top,
  });
  const spot = (event: PointerEvent, erase = latest?.erase ?? false): Spot => {
    const { x, y } = screen(event);
    const at = toTile(bench.view.peek(), x, y);
    return { ...at, erase, shift: event.shiftKey, alt: event.altKey };
  };
  const painted = (event: Event) =>
    stage.dispatchEvent(new CustomEvent("painted", { detail: event.timeStamp }));

  const notice = (event: PointerEvent) => {
    if (event.pointerType === "pen") penSeen.value = true;
  };
  const byFinger = () => press !== null && fingers.has(press.id);

  function down(event: PointerEvent): void {
    measure();
    stage.focus({ preventScroll: true });
    notice(event);
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, screen(event));
      if (fingers.size === 2 && byFinger()) abandon();
      if (fingers.size > 1) return;
    } else if (event.pointerType === "pen" && byFinger()) {
      // a palm that rested there first
      abandon();
    }
    // a second button or a palm beside the pen
    if (press !== null) return;
    stage.setPointerCapture(event.pointerId);
    const erase = event.button === 2 || (event.buttons & PEN_ERASER) !== 0;
    // Alt may have been pressed where the page does not hear of it
    const chosen = tool.peek();
    const panning = temporaryTool.peek() === "pan";
    const name = toolHeld(chosen, panning, event.altKey) ?? chosen;
    latest = spot(event, erase);
    // who has a pen moves the picture with the other hand, and rests a palm
    if (event.button === 1 || name === "pan" || (penSeen.peek() && event.pointerType === "touch")) {
      press = { kind: "pan", id: event.pointerId, at: screen(event), picks: event.button === 1 };
    } else if (event.shiftKey && !SHIFT.has(name)) {
      pick(bench, latest);
    } else {
      const held = tools[erase && name === "brush" ? "eraser" : name];
      press = { kind: "tool", id: event.pointerId, tool: held, again: null };
      held.down(latest);
      painted(event);
    }
    place(bench, { ...latest, byKeys: false });
  }

  function move(event: PointerEvent): void {
    notice(event);
    if (fingers.has(event.pointerId)) {
      const before = [...fingers.values()];
      fingers.set(event.pointerId, screen(event));
      if (before.length > 1) return pinch(before);
    }
    if (press === null) {
      latest = spot(event, false);
    } else if (press.id !== event.pointerId) {
      return;
    } else if (press.kind === "pan") {
      drag(press, screen(event));
    } else {
      if (press.again) press.tool.down(press.again);
      press.again = null;
      const all = event.getCoalescedEvents?.() ?? [];
      press.tool.move((all.length > 0 ? all : [event]).map((each) => spot(each)));
      latest = spot(event);
      painted(event);
    }
    if (latest) place(bench, { ...spot(event), byKeys: false });
  }

  function drag(pan: Press & { kind: "pan" }, to: Point): void {
    const dx = to.x - pan.at.x;
    const dy = to.y - pan.at.y;
    if (pan.picks && Math.hypot(dx, dy) < 4) return;
    pan.picks = false;
    pan.at = to;
    show(bench, panned(bench.view.peek(), dx, dy));
  }

  function pinch(before: readonly Point[]): void {
    // hands beside a stroke hold still what is painted on
    if (before.length !== 2 || press !== null) return;
    const after = [...fingers.values()];
    const view = bench.view.peek();
    show(bench, pinched(view, [before[0], before[1]], [after[0], after[1]]));
  }

  function up(event: PointerEvent): void {
    fingers.delete(event.pointerId);
    if (press?.id !== event.pointerId) return;
    const ended = press;
    press = null;
    if (ended.kind === "tool" && !ended.again) ended.tool.up();
    if (ended.kind === "pan" && ended.picks && latest) pick(bench, latest);
    // a finger leaves no cursor behind
    if (event.pointerType === "touch") leave();
  }

  function abandon(): boolean {
    if (press?.kind === "tool") press.tool.cancel();
    const had = press !== null;
    press = null;
    return had;
  }

  function cancel(event: PointerEvent): void {
    fingers.delete(event.pointerId);
    if (press?.id === event.pointerId) abandon();
  }

  function leave(): void {
    if (press !== null) return;
    latest = null;
    if (!cursor.peek()?.byKeys) place(bench, null);
  }

  const menu = (event: Event) => event.preventDefault();
  const listeners = [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", up],
    ["pointercancel", cancel],
    ["pointerenter", measure],
    ["pointerleave", leave],
    ["contextmenu", menu],
  ] as const;
  for (const [name, act] of listeners) stage.addEventListener(name, act as EventListener);
  addEventListener("resize", measure);
  return {
    settle() {
      if (press?.kind !== "tool" || press.tool.cursor !== "footprint" || press.again) return;
      press.tool.up();
      press.again = latest;
    },
    abandon,
    dispose() {
      // work that is on the screen is kept
      if (press?.kind === "tool" && !press.again) press.tool.up();
      press = null;
      for (const [name, act] of listeners) stage.removeEventListener(name, act as EventListener);
      removeEventListener("resize", measure);
    },
  };
}
