import axe from "axe-core";
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { me } from "../../shell/session";
import { api } from "../../api/client";
import type { Context } from "../commands";
import { chosenKeys, commandFor, resetKeys } from "../keymap";
import { saving } from "../flow/actions";
import * as settings from "../settings";
import { labels, specimen } from "../specimen";
import { Workbench } from "../workbench";
import { HelpSheet } from "./HelpSheet";
import { Labels } from "./Labels";
import { LintDialog } from "./LintDialog";
import { readOut } from "./probability";
import { Rebind } from "./Rebind";
import { sheet, toured } from "./sheets";
import { Side } from "./Side";
import { SkipDialog } from "./SkipDialog";
import { savingText, StatusBar } from "./StatusBar";
import { Toolbar } from "./Toolbar";
import { Tour } from "./Tour";

const flow = { submit: vi.fn(), skip: vi.fn(), save: vi.fn(), flag: vi.fn(), release: vi.fn() };
let main: HTMLElement;
let context: Context;

async function show(what: preact.ComponentChild): Promise<void> {
  await act(() => render(what, main));
}

const all = <T extends Element = HTMLElement>(selector: string) => [...main.querySelectorAll<T>(selector)];
const button = (name: string) => {
  const found = all<HTMLButtonElement>("button").find(
    (one) => (one.getAttribute("aria-label") ?? one.textContent ?? "").trim() === name,
  );
  if (!found) throw new Error(`No button ${name}`);
  return found;
};
const click = (element: HTMLElement) => act(() => element.click());
const press = (key: string, init: KeyboardEventInit = {}) =>
  act(() => {
    document.body.dispatchEvent(
      new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }),
    );
  });

/** What axe finds; colours and sizes need a real browser. */
async function faults(): Promise<string[]> {
  const found = await axe.run(main, {
    rules: { "color-contrast": { enabled: false }, region: { enabled: false } },
  });
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
}

beforeEach(() => {
  vi.clearAllMocks();
  localStorage.clear();
  settings.paintValue.value = 1;
  settings.tool.value = "brush";
  settings.guard.value = { mode: "all", value: 0 };
  settings.hidden.value = new Set();
  settings.locked.value = new Set();
  sheet.value = null;
  toured.value = { done: true };
  resetKeys();
  main = document.createElement("main");
  document.body.replaceChildren(main);
  context = { bench: new Workbench(specimen()), flow };
  vi.spyOn(api, "GET").mockResolvedValue({ data: { items: [], next: null }, response: new Response() } as never);
});
afterEach(async () => {
  await act(() => render(null, main));
  vi.restoreAllMocks();
});

const openAll = async () => {
  for (const section of all<HTMLDetailsElement>("details.section:not([open])")) {
    await act(() => {
      section.open = true;
      section.dispatchEvent(new Event("toggle"));
    });
  }
};

it("would hear of a button without a name", async () => {
  await show(<button type="button" />);
  expect(await faults()).toHaveLength(1);
});

describe("the side panel", () => {
  it("has nothing axe objects to, with every part open", async () => {
    await show(<Side context={context} />);
    await openAll();
    await vi.waitFor(() => expect(main.textContent).toContain("You have not labelled it before"));
    expect(all("details.section[open]").length).toBe(10);
    expect(await faults()).toEqual([]);
  });

  it("shows where in the whole image the tile lies, unless it is all of it", async () => {
    await show(<Side context={context} />);
    await openAll();
    const frame = () => main.querySelector<HTMLElement>(".whole i")?.style;
    expect(main.querySelector(".whole img")?.getAttribute("alt")).toContain("96 × 96 px");
    expect([frame()?.left, frame()?.top, frame()?.width].map((part) => Number.parseFloat(part ?? ""))).toEqual(
      [100 / 6, 100 / 6, 200 / 3].map((share) => expect.closeTo(share, 3)),
    );
    await show(<Side context={{ ...context, bench: new Workbench(specimen(64, 0)) }} />);
    expect(frame()).toBeUndefined();
  });

  it("lists labels with keys and shares that follow the painting", async () => {
    await show(<Side context={context} />);
    const row = () => all(".label")[0];
    expect(row().textContent).toContain("–");
    expect(row().querySelector("kbd")?.textContent).toContain("1");
    const change = { rect: { x: 0, y: 0, w: 64, h: 32 }, before: new Uint8Array(2048), after: new Uint8Array(2048).fill(1) };
    await act(() => {
      context.bench.raster.data.fill(1, 0, 2048);
      context.bench.done(change);
    });
    await vi.waitFor(() => expect(row().textContent).toContain("50.0 %"));
  });

  it("chooses, hides, shows alone and locks", async () => {
    await show(<Side context={context} />);
    await click(all<HTMLInputElement>(".label input")[1]);
    expect(settings.paintValue.value).toBe(2);
    await click(button("Hide nucleus"));
    expect([...settings.hidden.value]).toEqual([3]);
    await click(button("Show only mitochondrion"));
    expect([...settings.hidden.value].sort()).toEqual([1, 3]);
    expect(button("Show only mitochondrion").getAttribute("aria-pressed")).toBe("true");
    await click(button("Show only mitochondrion"));
    expect(settings.hidden.value.size).toBe(0);
    await click(button("Lock nucleus"));
    expect(context.bench.writable.value[3]).toBe(0);
  });

  it("marks what a partial task asks for, and starts with it", async () => {
    const bench = new Workbench(specimen(64, 16, { asked: [labels[2]] }));
    await show(<Side context={{ bench, flow }} />);
    expect(settings.paintValue.value).toBe(3);
    expect(all(".asked").map((mark) => mark.closest("label")?.title)).toEqual(["nucleus"]);
    expect(main.textContent).toContain("asks for nucleus only");
  });

  it("says for which labels the tile is complete", async () => {
    await show(<Side context={context} />);
    const boxes = all<HTMLInputElement>(".complete input");
    expect(boxes.map((box) => box.checked)).toEqual([true, true, true]);
    await click(boxes[1]);
    expect(context.bench.completeFor.value).toEqual([1, 3]);
    await click(all<HTMLInputElement>(".complete input")[1]);
    expect(context.bench.completeFor.value).toEqual([1, 2, 3]);
  });

  it("shows as complete what was so before and is not asked for", async () => {
    const bench = new Workbench(specimen(64, 16, { asked: [labels[0]], before: [3] }));
    await show(<Side context={{ bench, flow }} />);
    const boxes = all<HTMLInputElement>(".complete input");
    expect(boxes.map((box) => [box.checked, box.disabled])).toEqual([
      [true, false],
      [false, false],
      [true, true],
    ]);
    expect(main.textContent).toContain("Dashed outlines are the model's");
    expect(all(".acceptances li").map((row) => row.querySelector(".name")?.textContent)).toEqual([labels[0].name]);
  });

  it("says how many pixels a cleaning would change, before it does", async () => {
    const start = new Uint8Array(64 * 64);
    start[5 * 64 + 5] = 1;
    start.fill(1, 2000, 2040);
    const bench = new Workbench(specimen(64, 16, { start }));
    await show(<Side context={{ bench, flow }} />);
    await openAll();
    const specks = () => all<HTMLButtonElement>(".cleanings button")[4];
    await vi.waitFor(() => expect(specks().textContent).toBe("Remove specks1 px"));
    await click(specks());
    expect(bench.raster.data[5 * 64 + 5]).toBe(0);
    await vi.waitFor(() => expect(specks().disabled).toBe(true));
  });

  it("offers the size of the brush to tools that use it", async () => {
    await show(<Side context={context} />);
    expect(all("[aria-label='Brush sizes']")).toHaveLength(1);
    await act(() => void (settings.tool.value = "watershed"));
    expect(all("[aria-label='Brush sizes']")).toHaveLength(0);
  });

  it("remembers which parts are folded", async () => {
    await show(<Side context={context} />);
    const part = all<HTMLDetailsElement>("details.section")[0];
    await act(() => {
      part.open = false;
      part.dispatchEvent(new Event("toggle"));
    });
    expect(JSON.parse(localStorage.getItem("cisterna.folded") ?? "{}").labels).toBe(true);
  });

  it("does without a pre-label", async () => {
    const bench = new Workbench(specimen(64, 16, { prelabel: null }));
    await show(<Side context={{ bench, flow }} />);
    await openAll();
    expect(main.textContent).toContain("comes without a pre-label");
  });
});

describe("after a click", () => {
  const clicked = (element: HTMLElement, init: object) => {
    element.focus();
    const event = Object.assign(new MouseEvent("click", { bubbles: true, detail: 1 }), init);
    return act(() => void element.dispatchEvent(event));
  };

  it("the keys are the tile's again for a mouse, and stay for a keyboard", async () => {
    await show(<Side context={context} />);
    const box = all<HTMLInputElement>(".label input")[1];
    await clicked(box, { pointerType: "" });
    expect(document.activeElement).toBe(box);
    await clicked(box, { pointerType: "mouse" });
    expect(document.activeElement).not.toBe(box);
  });
});

describe("the history", () => {
  it("says who labelled what, and what became of it", async () => {
    vi.spyOn(api, "GET").mockResolvedValue({
      data: {
        items: [
          { id: "1", author_id: "a", author: "Ada", imported: false, complete_for: [1, 2, 3], state: "returned", created_at: "2026-01-02T10:00:00Z" },
          { id: "2", author_id: null, author: null, imported: true, complete_for: [2], state: "superseded", created_at: "2026-01-01T10:00:00Z" },
        ],
        next: null,
      },
      response: new Response(),
    } as never);
    me.value = { id: "r", name: "Reva", is_admin: true, read_only: false, memberships: [] };
    await show(<Side context={context} />);
    await openAll();
    await vi.waitFor(() => expect(all(".history li")).toHaveLength(2));
    await act(() => void (me.value = { id: "a", name: "Ada", is_admin: false, read_only: false, memberships: [] }));
    await vi.waitFor(() => expect(all(".history li")).toHaveLength(1));
    await act(() => void (me.value = { id: "r", name: "Reva", is_admin: true, read_only: false, memberships: [] }));
    const [first, second] = all(".history li").map((line) => line.textContent);
    expect(first).toMatch(/^Ada, .*2026.* all labels, sent back$/);
    expect(second).toMatch(/^Imported, .* mitochondrion, replaced by a newer one$/);
  });
});

describe("the toolbar", () => {
  it("has nothing axe objects to", async () => {
    await show(<Toolbar context={context} />);
    expect(await faults()).toEqual([]);
  });

  it("shows the tool in use, its keys, and what can be undone", async () => {
    await show(<Toolbar context={context} />);
    expect(button("Brush").getAttribute("aria-pressed")).toBe("true");
    expect(button("Brush").title).toBe("Brush (B)");
    expect(button("Undo").disabled).toBe(true);
    await click(button("Eraser"));
    expect(settings.tool.value).toBe("eraser");
    expect(button("Eraser").getAttribute("aria-pressed")).toBe("true");
    await act(() => {
      context.bench.raster.data[0] = 1;
      context.bench.done({ rect: { x: 0, y: 0, w: 1, h: 1 }, before: Uint8Array.of(0), after: Uint8Array.of(1) });
    });
    expect(button("Undo").disabled).toBe(false);
  });

  it("offers to skip a tile, but not a review", async () => {
    await show(<Toolbar context={context} />);
    expect(button("Skip").disabled).toBe(false);
    const plain = specimen();
    const bench = new Workbench({ ...plain, task: { ...plain.task, kind: "review" } });
    await show(<Toolbar context={{ bench, flow }} />);
    expect(() => button("Skip")).toThrow("No button Skip");
  });

  it("is one stop for Tab and walked with arrows", async () => {
    await show(<Toolbar context={context} />);
    expect(all("button").filter((one) => one.tabIndex === 0)).toEqual([button("Brush")]);
    button("Brush").focus();
    await act(() => {
      const right = new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true });
      button("Brush").dispatchEvent(right);
    });
    expect(document.activeElement).toBe(button("Eraser"));
  });
});

describe("the status bar", () => {
  it("reads out place, grey and label under the pointer", async () => {
    context.bench.raster.data[3 * 64 + 2] = 2;
    await show(<StatusBar bench={context.bench} />);
    await act(() => void (context.bench.pointer.value = { x: 2, y: 3 }));
    const text = main.textContent ?? "";
    expect(text).toContain("x 2, y 3 · 16 nm, 24 nm");
    expect(text).toContain(`grey ${context.bench.sheet.grey.data[19 * 96 + 18]}`);
    expect(text).toContain("mitochondrion");
    expect(await faults()).toEqual([]);
  });

  it("says where a length rests on an assumed pixel size", async () => {
    const { image } = context.bench.sheet;
    const bench = new Workbench(specimen(64, 16, { image: { ...image, pixel_nm: null } }));
    await show(<StatusBar bench={bench} />);
    await act(() => void (bench.pointer.value = { x: 2, y: 3 }));
    expect(main.textContent).toContain("x 2, y 3 · 16 nm, 24 nm, assumed");
  });

  it("reads out the chosen label's probability when it is wanted", async () => {
    const asked = vi.spyOn(context.bench.sheet, "probability");
    await show(
      <>
        <Side context={context} />
        <StatusBar bench={context.bench} />
      </>,
    );
    await act(() => void (context.bench.pointer.value = { x: 32, y: 32 }));
    expect(asked).not.toHaveBeenCalled();
    await act(() => {
      settings.paintValue.value = 2;
      readOut.value = { probability: true };
    });
    await vi.waitFor(() => expect(main.textContent).toContain("p(mitochondrion) 0.90"));
    await act(() => void (settings.paintValue.value = 0));
    expect(main.querySelector(".readout")?.textContent).not.toContain("p(");
    await act(() => void (settings.paintValue.value = 2));
    await vi.waitFor(() => expect(main.textContent).toContain("p(mitochondrion) 0.90"));
    expect(asked).toHaveBeenCalledOnce();
    readOut.value = { probability: false };
  });

  it("says whether the work is safe", async () => {
    await show(<StatusBar bench={context.bench} />);
    await act(() => void (saving.value = { state: "offline", pending: 3 }));
    expect(main.querySelector("[role=status]")?.textContent).toBe("Offline, 3 edits kept on this computer");
    expect(savingText({ state: "conflict", pending: 1 })).toContain("1 edit kept");
    await act(() => void (saving.value = { state: "saved", pending: 0 }));
  });
});

describe("the check before a tile is sent", () => {
  const findings = [
    { kind: "speck", value: 2, count: 3, at: { x: 10, y: 12 } },
    { kind: "too-fast", value: null, count: 4, at: null },
  ] as const;

  it("shows where, and never stops", async () => {
    const [submit, close] = [vi.fn(), vi.fn()];
    const view = { ...context.bench.view.value };
    await show(<LintDialog bench={context.bench} findings={findings} submit={submit} close={close} />);
    expect(main.textContent).toContain("3 specks of mitochondrion");
    expect(main.textContent).toContain("4 seconds only");
    expect(await faults()).toEqual([]);
    expect(all(".findings button").length).toBe(1);
    await click(all(".findings button")[0]);
    expect(context.bench.view.value).not.toEqual(view);
    expect([settings.paintValue.value, close.mock.calls.length, submit.mock.calls.length]).toEqual([2, 1, 0]);
    await click(button("Submit anyway"));
    expect(submit).toHaveBeenCalledOnce();
  });
});

describe("the legend", () => {
  it("shows the patterns that the tile is drawn with", async () => {
    const patterns = () => all<HTMLElement>(".label .swatch").map((swatch) => swatch.dataset.pattern);
    await show(<Labels bench={context.bench} />);
    expect(new Set(patterns())).toEqual(new Set([undefined]));
    await act(() => void (settings.overlay.value = { ...settings.overlay.value, patterns: true }));
    expect(patterns().slice(0, 2)).toEqual(["0", "2"]);
    settings.overlay.value = { ...settings.overlay.value, patterns: false };
  });
});

describe("an empty tile", () => {
  it("is one thing to think about, however many labels it lacks", async () => {
    const findings = [2, 4].map((value) => ({ kind: "empty-class", value, count: 0, at: null }) as const);
    const props = { bench: context.bench, submit: vi.fn(), close: vi.fn() };
    await show(<LintDialog {...props} findings={findings} />);
    expect(main.textContent).toContain("One thing may be a slip");
    expect(all(".findings li").length).toBe(1);
    expect(main.textContent).toContain("mitochondrion");
  });
});

describe("skipping", () => {
  it("wants a reason", async () => {
    const skip = vi.fn();
    await show(<SkipDialog skip={skip} close={() => undefined} />);
    expect(await faults()).toEqual([]);
    expect(button("Skip the tile").disabled).toBe(true);
    await click(all<HTMLInputElement>("input[type=radio]")[1]);
    await click(button("Skip the tile"));
    expect(skip).toHaveBeenCalledWith("out of focus");
  });

  it("takes another reason in words", async () => {
    const skip = vi.fn();
    await show(<SkipDialog skip={skip} close={() => undefined} />);
    await click(all<HTMLInputElement>("input[type=radio]")[4]);
    expect(button("Skip the tile").disabled).toBe(true);
    const text = all<HTMLInputElement>("input[type=text]")[0];
    await act(() => {
      text.value = "  knife mark ";
      text.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await click(button("Skip the tile"));
    expect(skip).toHaveBeenCalledWith("knife mark");
  });
});

describe("the sheets of keys", () => {
  it("list every key", async () => {
    sheet.value = "help";
    await show(<HelpSheet />);
    expect(main.textContent).toContain("Submit the tile");
    expect(all("kbd").length).toBeGreaterThan(40);
    expect(await faults()).toEqual([]);
  });

  it("ask before a key is taken from another command", async () => {
    sheet.value = "keys";
    await show(<Rebind />);
    expect(await faults()).toEqual([]);
    await click(button("Add a key for Brush"));
    await press("e");
    expect(main.querySelector(".clash")?.textContent).toContain("E is the key of “Eraser”");
    expect(commandFor("e")?.id).toBe("tool.eraser");
    await click(button("Use it here instead"));
    expect(commandFor("e")?.id).toBe("tool.brush");
    await click(button("All keys as they were"));
    expect(commandFor("e")?.id).toBe("tool.eraser");
  });

  it("take a free key at once, refuse some, and give up with Escape", async () => {
    sheet.value = "keys";
    await show(<Rebind />);
    await click(button("Add a key for Brush"));
    await press("q");
    expect(chosenKeys.value["tool.brush"]).toEqual(["b", "q"]);
    await click(button("Add a key for Brush"));
    await press("Enter");
    expect(main.querySelector(".clash")?.textContent).toContain("Enter closes polygons");
    await click(button("Leave it"));
    await click(button("Add a key for Brush"));
    await press("Escape");
    expect(main.querySelector(".clash")).toBeNull();
    await click(button("Take Q away from Brush"));
    expect(commandFor("q")).toBeUndefined();
    await click(button("Reset the keys of Brush"));
    expect(chosenKeys.value).toEqual({});
  });
});

describe("the tour", () => {
  it("shows itself once, in five steps", async () => {
    toured.value = { done: false };
    await show(<Tour slug="liver" />);
    expect(main.textContent).toContain("1 of 5");
    expect(document.documentElement.dataset.tour).toBe("stage");
    expect(await faults()).toEqual([]);
    for (let step = 2; step <= 5; step++) await click(button("Next"));
    expect(main.textContent).toContain("5 of 5");
    expect(main.textContent).not.toContain("Practise first");
    await click(button("Start"));
    expect(toured.value.done).toBe(true);
    expect(document.documentElement.dataset.tour).toBeUndefined();
    await show(null);
    await show(<Tour slug="liver" />);
    expect(main.textContent).toBe("");
  });

  it("ends at practice where a project has tiles for it", async () => {
    const items = [{ annotation_id: "a" }];
    vi.mocked(api.GET).mockResolvedValue({ data: { items, next: null }, response: new Response() } as never);
    toured.value = { done: false };
    await show(<Tour slug="liver" />);
    expect(main.textContent).not.toContain("Practise first");
    for (let step = 2; step <= 5; step++) await click(button("Next"));
    const link = all<HTMLAnchorElement>("a").find((one) => one.textContent?.includes("Practise first"));
    expect(link?.getAttribute("href")).toBe("/projects/liver/practice");
    expect(await faults()).toEqual([]);
    await click(link as HTMLElement);
    expect(toured.value.done).toBe(true);
  });
});
