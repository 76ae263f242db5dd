import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Smart } from "../../smart/smart";
import { brush, guard, locked, paintValue, tool } from "../settings";
import { specimen } from "../specimen";
import { Workbench } from "../workbench";
import { cursor } from "./cursor";
import { followKeys } from "./keys";
import { followPointer, penSeen, type Pointer } from "./pointer";
import { dropPreview } from "./preview";
import { outline } from "./tools/polygon";
import { makeTools, temporaryTool, type Tools } from "./tools/tools";
import { fit, resize } from "./viewport";
import { followWheel } from "./wheel";

let stage: HTMLElement;
let bench: Workbench;
let pointer: Pointer;
let stops: (() => void)[];

const value = (x: number, y: number) => bench.raster.data[y * 64 + x];
const count = (wanted: number) => bench.raster.data.filter((each) => each === wanted).length;

/** An event over the middle of pixel (x, y) of the tile. */
function send(name: string, x: number, y: number, more: PointerEventInit = {}): void {
  const { scale, left, top } = bench.view.value;
  const [clientX, clientY] = [(x + 0.5 - left) * scale, (y + 0.5 - top) * scale];
  const held = { pointerId: 1, pointerType: "mouse", button: 0, buttons: 1, bubbles: true };
  stage.dispatchEvent(new PointerEvent(name, { ...held, clientX, clientY, ...more }));
}
function key(name: string, more: KeyboardEventInit = {}, target: EventTarget = stage): boolean {
  const event = new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more });
  return !target.dispatchEvent(event);
}
const release = (name: string) =>
  stage.dispatchEvent(new KeyboardEvent("keyup", { key: name, bubbles: true }));

beforeEach(() => {
  penSeen.value = false;
  tool.value = "brush";
  paintValue.value = 1;
  brush.value = { size: 1, square: false };
  guard.value = { mode: "all", value: 0 };
  locked.value = new Set();
  stage = document.createElement("div");
  stage.tabIndex = 0;
  stage.setPointerCapture = () => {};
  document.body.append(stage);
  bench = new Workbench(specimen());
  const tools: Tools = makeTools(bench, {} as Smart);
  resize(bench, 800, 600, 1);
  fit(bench);
  pointer = followPointer(stage, bench, tools);
  stops = [pointer.dispose, followKeys(stage, bench, tools, pointer), followWheel(stage, bench)];
  stage.focus();
});
afterEach(() => {
  for (const stop of stops) stop();
  for (const each of [cursor, bench.pointer]) each.value = null;
  dropPreview();
  stage.remove();
});

describe("a press on the stage", () => {
  it("has set its pixel when the stage is told so", () => {
    const seen: number[] = [];
    stage.addEventListener("painted", () => seen.push(value(20, 30)));
    send("pointerdown", 20, 30);
    expect(seen).toEqual([1]);
    send("pointermove", 40, 30);
    expect(value(33, 30)).toBe(1);
    send("pointerup", 40, 30);
    expect(count(1)).toBe(21);
    expect(bench.history.canUndo).toBe(true);
    expect(bench.pointer.value).toEqual({ x: 40, y: 30 });
  });

  it("erases with the right button, the pen's other end and with Alt", () => {
    bench.raster.data.fill(2);
    send("pointerdown", 1, 1, { button: 2, buttons: 2 });
    send("pointerup", 1, 1);
    send("pointerdown", 3, 3, { pointerType: "pen", button: 5, buttons: 32 });
    send("pointerup", 3, 3);
    key("Alt");
    expect(temporaryTool.value).toBe("eraser");
    send("pointerdown", 5, 5, { altKey: true });
    send("pointerup", 5, 5);
    release("Alt");
    expect([value(1, 1), value(3, 3), value(5, 5), count(0)]).toEqual([0, 0, 0, 3]);
    expect(temporaryTool.value).toBeNull();
  });

  it("picks with Shift and with the middle button, and moves the picture with a drag of it", () => {
    bench.raster.data[0] = 3;
    send("pointerdown", 0, 0, { shiftKey: true });
    expect(paintValue.value).toBe(3);
    send("pointerdown", 9, 9, { button: 1, buttons: 4 });
    send("pointerup", 9, 9);
    expect(paintValue.value).toBe(0);
    const { left } = bench.view.value;
    send("pointerdown", 9, 9, { button: 1, buttons: 4 });
    send("pointermove", 14, 9, { buttons: 4 });
    expect(bench.view.value.left).toBeCloseTo(left - 5, 6);
    send("pointerup", 9, 9);
    expect(paintValue.value).toBe(0);
    expect(bench.history.canUndo).toBe(false);
  });

  it("moves the picture while Space is held", () => {
    key(" ");
    const { top } = bench.view.value;
    send("pointerdown", 9, 9);
    send("pointermove", 9, 12);
    send("pointerup", 9, 12);
    release(" ");
    expect(bench.view.value.top).toBeCloseTo(top - 3, 6);
    expect(bench.history.canUndo).toBe(false);
  });

  it("takes a first finger's dab back when a second one comes to pinch", () => {
    send("pointerdown", 10, 10, { pointerType: "touch", pointerId: 7 });
    expect(count(1)).toBe(1);
    send("pointerdown", 30, 10, { pointerType: "touch", pointerId: 8 });
    expect(count(1)).toBe(0);
    const { scale } = bench.view.value;
    send("pointermove", 50, 10, { pointerType: "touch", pointerId: 8 });
    expect(bench.view.value.scale).toBeCloseTo(scale * 2, 6);
    send("pointerup", 50, 10, { pointerType: "touch", pointerId: 8 });
    send("pointerup", 10, 10, { pointerType: "touch", pointerId: 7 });
    expect(bench.history.canUndo).toBe(false);
  });

  it("lets fingers only move the picture once there is a pen", () => {
    send("pointerdown", 1, 1, { pointerType: "pen", pointerId: 9 });
    send("pointerup", 1, 1, { pointerType: "pen", pointerId: 9 });
    expect(count(1)).toBe(1);
    const { left } = bench.view.value;
    send("pointerdown", 10, 10, { pointerType: "touch", pointerId: 7 });
    send("pointermove", 15, 10, { pointerType: "touch", pointerId: 7 });
    expect(bench.view.value.left).toBeCloseTo(left - 5, 6);
    send("pointerup", 15, 10, { pointerType: "touch", pointerId: 7 });
    expect(count(1)).toBe(1);
  });

  it("remembers the pen at the next tile", () => {
    send("pointermove", 1, 1, { pointerType: "pen", pointerId: 9, buttons: 0 });
    pointer.dispose();
    pointer = followPointer(stage, bench, makeTools(bench, {} as Smart));
    send("pointerdown", 10, 10, { pointerType: "touch", pointerId: 7 });
    expect(count(1)).toBe(0);
    pointer.dispose();
  });

  it("is the pen's even if a palm rested there first, whose dab is taken back", () => {
    send("pointerdown", 10, 10, { pointerType: "touch", pointerId: 7 });
    expect(count(1)).toBe(1);
    send("pointerdown", 30, 30, { pointerType: "pen", pointerId: 9 });
    send("pointermove", 34, 30, { pointerType: "pen", pointerId: 9 });
    send("pointerup", 34, 30, { pointerType: "pen", pointerId: 9 });
    send("pointerup", 10, 10, { pointerType: "touch", pointerId: 7 });
    expect([value(10, 10), count(1)]).toEqual([0, 5]);
  });

  it("of a pen goes on whatever fingers do beside it", () => {
    send("pointerdown", 30, 30, { pointerType: "pen", pointerId: 9 });
    const { scale, left } = bench.view.value;
    send("pointerdown", 10, 10, { pointerType: "touch", pointerId: 7 });
    send("pointerdown", 10, 20, { pointerType: "touch", pointerId: 8 });
    send("pointermove", 10, 30, { pointerType: "touch", pointerId: 8 });
    send("pointermove", 34, 30, { pointerType: "pen", pointerId: 9 });
    send("pointerup", 34, 30, { pointerType: "pen", pointerId: 9 });
    expect(count(1)).toBe(5);
    expect(bench.view.value).toMatchObject({ scale, left });
  });

  it("is a step of its own when a key comes between, and Escape takes it back", () => {
    send("pointerdown", 10, 10);
    key("2");
    expect(bench.history.canUndo).toBe(true);
    paintValue.value = 2;
    send("pointermove", 12, 10);
    send("pointerup", 12, 10);
    expect([value(11, 10), value(12, 10)]).toEqual([2, 2]);
    const before = bench.raster.data.slice();
    send("pointerdown", 30, 30);
    expect(key("Escape")).toBe(true);
    send("pointerup", 30, 30);
    expect(bench.raster.data).toEqual(before);
  });
});

describe("the wheel", () => {
  it("zooms with the pixel under the pointer kept, and sizes the brush with Shift", () => {
    send("pointermove", 20, 30, { buttons: 0 });
    const { scale, left, top } = bench.view.value;
    const [clientX, clientY] = [(20.5 - left) * scale, (30.5 - top) * scale].map(Math.floor);
    const turn = (shiftKey: boolean) =>
      stage.dispatchEvent(
        // the test's browser has no places in wheel events
        Object.assign(new WheelEvent("wheel", { deltaY: -120 }), { clientX, clientY, shiftKey }),
      );
    for (let i = 0; i < 6; i++) turn(false);
    const view = bench.view.value;
    expect(view.scale).toBeGreaterThan(scale * 2);
    expect((20.5 - view.left) * view.scale).toBeCloseTo((20.5 - left) * scale, 6);
    turn(true);
    expect(brush.value.size).toBe(2);
    expect(bench.view.value).toBe(view);
  });
});

describe("the keyboard alone", () => {
  it("moves a crosshair, paints a dab and a line", () => {
    bench.pointer.value = null;
    key("ArrowRight");
    key("ArrowDown", { shiftKey: true });
    expect(bench.pointer.value).toEqual({ x: 33, y: 42 });
    key("Enter");
    expect(count(1)).toBe(1);
    key("Enter", { shiftKey: true });
    for (let i = 0; i < 5; i++) key("ArrowLeft");
    key("Enter");
    expect(count(1)).toBe(6);
    key("ArrowLeft");
    expect(count(1)).toBe(6);
    bench.undo();
    expect(count(1)).toBe(1);
  });

  it("sets a polygon's corners, and a second Enter on the last closes it", () => {
    tool.value = "polygon";
    bench.pointer.value = null;
    key("ArrowRight", { shiftKey: true });
    const enter = () => key("Enter");
    const far = (name: string) => key(name, { shiftKey: true });
    enter();
    enter();
    expect(outline.value?.points).toHaveLength(1);
    for (const way of ["ArrowRight", "ArrowDown", "ArrowLeft"]) {
      far(way);
      enter();
    }
    expect(outline.value?.points).toHaveLength(4);
    expect(count(1)).toBe(0);
    enter();
    expect([outline.value, count(1)]).toEqual([null, 100]);
  });

  it("leaves keys to what one types in", () => {
    const input = document.createElement("input");
    document.body.append(input);
    input.focus();
    expect(key(" ", {}, input)).toBe(false);
    expect(key("Enter", {}, input)).toBe(false);
    expect(temporaryTool.value).toBeNull();
    input.remove();
  });

  it("does not paint with Enter where only a mouse has pointed", () => {
    send("pointermove", 20, 20, { buttons: 0 });
    key("Enter");
    expect(count(1)).toBe(0);
  });
});
