import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Pin } from "./Pins";
import { Verdict } from "./Verdict";

const judge = vi.fn(() => Promise.resolve());
const main = document.createElement("main");
const show = (pins: readonly Pin[] = []) =>
  act(() => render(<Verdict pins={pins} judge={judge} mend={vi.fn()} />, main));
const press = (init: KeyboardEventInit = {}) =>
  act(() => {
    const enter = { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true };
    main.dispatchEvent(new KeyboardEvent("keydown", { ...enter, ...init }));
  });
const write = (text: string) =>
  act(() => {
    const area = main.querySelector("textarea") as HTMLTextAreaElement;
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });

beforeEach(() => {
  vi.clearAllMocks();
  document.body.replaceChildren(main);
});
afterEach(() => act(() => render(null, main)));

it("accepts at a press of the keys, once however long they are held", async () => {
  await show();
  await press({ repeat: true });
  expect(judge).not.toHaveBeenCalled();
  await press();
  await press({ repeat: true });
  expect(judge).toHaveBeenCalledOnce();
  expect(judge).toHaveBeenCalledWith(true, "", undefined);
});

it("lets who has written something choose what is meant by it", async () => {
  await show();
  await write("The ER is missing");
  await press();
  expect(judge).not.toHaveBeenCalled();
  expect(main.querySelector("[role=alert]")?.textContent).toContain("choose Accept or Send back");
  await write(" ");
  await press();
  expect(judge).toHaveBeenCalledOnce();
});

it("takes a pin for a word", async () => {
  await show([{ y: 1, x: 2, text: "here" }]);
  await press();
  expect(judge).not.toHaveBeenCalled();
});
