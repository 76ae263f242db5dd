import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Smart } from "../../smart/smart";
import { guard, locked, paintValue, peek, tool } from "../settings";
import { specimen } from "../specimen";
import { Workbench } from "../workbench";
import { Handles } from "./Handles";
import { preview } from "./preview";
import { outline } from "./tools/polygon";
import { makeTools, tools } from "./tools/tools";

let main: HTMLElement;
let bench: Workbench;
const button = (name: string) =>
  [...main.querySelectorAll("button")].find((one) => one.textContent === name);
const painted = () => bench.raster.data.filter((value) => value === 1).length;

beforeEach(async () => {
  tool.value = "polygon";
  paintValue.value = 1;
  guard.value = { mode: "all", value: 0 };
  locked.value = new Set();
  bench = new Workbench(specimen());
  tools.value = makeTools(bench, {} as Smart);
  main = document.body.appendChild(document.createElement("main"));
  await act(() => render(<Handles bench={bench} />, main));
});
afterEach(async () => {
  outline.value = preview.value = tools.value = null;
  await act(() => render(null, main));
  main.remove();
});

it("takes or drops what a tool has begun, and is not there otherwise", async () => {
  expect(button("Take")).toBeUndefined();
  const points = [
    { x: 10, y: 10 },
    { x: 20, y: 10 },
  ];
  await act(() => void (outline.value = { points, subtract: false }));
  expect(button("Take")?.disabled).toBe(true);
  await act(() => button("Drop")?.click());
  expect(outline.value).toBeNull();
  points.push({ x: 20, y: 20 }, { x: 10, y: 20 });
  await act(() => void (outline.value = { points, subtract: false }));
  await act(() => button("Take")?.click());
  expect([outline.value, painted()]).toEqual([null, 100]);
});

it("takes or drops a proposal", async () => {
  const proposal = { rect: { x: 1, y: 1, w: 2, h: 1 }, bits: Uint8Array.of(1, 1) };
  tool.value = "wand";
  await act(() => void (preview.value = proposal));
  await act(() => button("Drop")?.click());
  expect([preview.value, painted()]).toEqual([null, 0]);
  await act(() => void (preview.value = proposal));
  await act(() => button("Take")?.click());
  expect([preview.value, painted()]).toEqual([null, 2]);
});

it("shows the raw image while it is held", async () => {
  const raw = button("Raw")!;
  raw.setPointerCapture = () => {};
  const send = (event: Event) => act(() => void raw.dispatchEvent(event));
  await send(new PointerEvent("pointerdown", { bubbles: true }));
  expect(peek.value).toBe(true);
  await send(new PointerEvent("lostpointercapture", { bubbles: true }));
  expect(peek.value).toBe(false);
  await send(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  expect(peek.value).toBe(true);
  await send(new KeyboardEvent("keyup", { key: "Enter", bubbles: true }));
  expect(peek.value).toBe(false);
});
