import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Command, command, commands, type Context } from "./commands";
import {
  bind,
  commandFor,
  conflicts,
  hand,
  keyName,
  keysOf,
  keyText,
  listenToKeys,
  type Press,
  refusal,
  resetKeys,
} from "./keymap";
import { sheet } from "./panels/sheets";
import * as settings from "./settings";
import { specimen } from "./specimen";
import { Workbench } from "./workbench";

const press = (key: string, more: Partial<Press> = {}): Press => ({
  key,
  code: "",
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});

beforeEach(() => {
  resetKeys();
  hand.value = { holds: "right" };
});

describe("naming a key", () => {
  it("follows the character, not the place on the board", () => {
    // AZERTY: the key that types "a" is where QWERTY has "q"
    expect(keyName(press("a", { code: "KeyQ" }), false)).toBe("a");
    expect(keyName(press("z", { code: "KeyY", ctrlKey: true }), false)).toBe("Mod+z");
  });

  it("names a letter the same with caps lock, and Shift apart", () => {
    expect(keyName(press("B"), false)).toBe("b");
    expect(keyName(press("F", { shiftKey: true }), false)).toBe("Shift+f");
  });

  it("names signs alone, however they are produced", () => {
    expect(keyName(press("?", { shiftKey: true }), false)).toBe("?");
    // QWERTZ on Windows: AltGr+8 comes as Ctrl+Alt
    const altGr = { ctrlKey: true, altKey: true, getModifierState: (name: string) => name === "AltGraph" };
    expect(keyName(press("[", altGr), false)).toBe("[");
    expect(keyName(press("[", { altKey: true }), true)).toBe("[");
    // AZERTY: digits need Shift
    expect(keyName(press("1", { shiftKey: true }), false)).toBe("1");
  });

  it("calls Cmd on a Mac what is Ctrl elsewhere", () => {
    expect(keyName(press("s", { metaKey: true }), true)).toBe("Mod+s");
    expect(keyName(press("s", { ctrlKey: true }), true)).toBe("Ctrl+s");
    expect(keyName(press("s", { ctrlKey: true }), false)).toBe("Mod+s");
    expect(keyName(press("s", { metaKey: true }), false)).not.toBe("Mod+s");
  });

  it("says nothing of modifiers alone and of dead keys", () => {
    for (const key of ["Shift", "Control", "Alt", "AltGraph", "Meta", "Dead"]) {
      expect(keyName(press(key))).toBeNull();
    }
  });

  it("is readable", () => {
    expect(keyText("Mod+Shift+z", false)).toBe("Ctrl+Shift+Z");
    expect(keyText("Mod+Shift+z", true)).toBe("⌘⇧Z");
    expect(keyText("+", false)).toBe("+");
    expect(keyText("Mod++", false)).toBe("Ctrl++");
    expect(keyText("PageUp", false)).toBe("PageUp");
  });
});

describe("the usual keys", () => {
  it.each(["right", "left"] as const)("have no conflict with the pen in the %s hand", (holds) => {
    hand.value = { holds };
    expect([...conflicts.value.keys()]).toEqual([]);
  });

  it("never give plain Enter or Space to a command", () => {
    for (const holds of ["right", "left"] as const) {
      hand.value = { holds };
      for (const candidate of commands) {
        for (const key of keysOf(candidate)) {
          expect(["Enter", "Space", "Escape", "Backspace"]).not.toContain(key);
        }
      }
    }
  });

  it("offer brush sizes and unknown without signs that AZERTY and QWERTZ hide", () => {
    expect(keysOf(command("brush.smaller"))).toEqual(["[", "-"]);
    expect(keysOf(command("brush.larger"))).toEqual(["]", "="]);
    expect(keysOf(command("label.unknown"))).toContain("9");
  });

  it("differ for a left hand on the pen, unless the person chose otherwise", () => {
    hand.value = { holds: "left" };
    expect(commandFor("j")?.id).toBe("tool.brush");
    bind(command("tool.brush"), ["q"]);
    expect(keysOf(command("tool.brush"))).toEqual(["q"]);
  });
});

describe("other keys", () => {
  it("are taken from whoever had them", () => {
    bind(command("tool.brush"), ["b", "f"]);
    expect(commandFor("f")?.id).toBe("tool.brush");
    expect(keysOf(command("tool.fill"))).toEqual([]);
    expect(conflicts.value.size).toBe(0);
  });

  it("go back alone or together", () => {
    bind(command("tool.brush"), ["q"]);
    bind(command("tool.eraser"), ["k"]);
    resetKeys(command("tool.brush"));
    expect([keysOf(command("tool.brush")), keysOf(command("tool.eraser"))]).toEqual([["b"], ["k"]]);
    resetKeys();
    expect(keysOf(command("tool.eraser"))).toEqual(["e"]);
  });

  it("show up as conflicts when a reset brings a taken key back", () => {
    bind(command("tool.brush"), ["f"]);
    resetKeys(command("tool.fill"));
    expect(conflicts.value.get("f")?.map((found) => found.id)).toEqual(["tool.brush", "tool.fill"]);
  });

  it("are kept by the browser", () => {
    bind(command("tool.brush"), ["q"]);
    expect(JSON.parse(localStorage.getItem("cisterna.keys") ?? "")).toEqual({ "tool.brush": ["q"] });
  });

  it.each(["Enter", "Space", "Tab", "ArrowLeft", "Shift+ArrowUp", "Mod+w"])("may not be %s", (key) => {
    expect(refusal(key)).toMatch(/another/);
  });

  it("may be most others", () => {
    expect(refusal("q")).toBeNull();
    expect(refusal("Mod+Shift+k")).toBeNull();
  });
});

describe("listening", () => {
  let stop: () => void;
  let context: Context;
  const flow = { submit: vi.fn(), skip: vi.fn(), save: vi.fn(), flag: vi.fn(), release: vi.fn() };
  beforeEach(() => {
    vi.clearAllMocks();
    context = { bench: new Workbench(specimen()), flow };
    stop = listenToKeys(() => context);
  });
  afterEach(() => {
    stop();
    sheet.value = null;
    document.body.replaceChildren();
  });

  const type = (key: string, init: KeyboardEventInit = {}, on: EventTarget = document.body) => {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init });
    on.dispatchEvent(event);
    return event;
  };

  it("runs commands and keeps the browser from doing the same", () => {
    settings.tool.value = "brush";
    expect(type("e").defaultPrevented).toBe(true);
    expect(settings.tool.value).toBe("eraser");
    expect(type("q").defaultPrevented).toBe(false);
  });

  it("submits with Ctrl+Enter only", () => {
    type("Enter");
    expect(flow.submit).not.toHaveBeenCalled();
    type("Enter", { ctrlKey: true, repeat: true });
    expect(flow.submit).not.toHaveBeenCalled();
    type("Enter", { ctrlKey: true });
    expect(flow.submit).toHaveBeenCalledOnce();
  });

  it.each(["input", "textarea", "select"])("keeps out of a focused %s, but for saving", (tag) => {
    const element = document.createElement(tag);
    document.body.append(element);
    settings.tool.value = "brush";
    type("e", {}, element);
    expect(settings.tool.value).toBe("brush");
    expect(type("s", { ctrlKey: true }, element).defaultPrevented).toBe(true);
    expect(flow.save).toHaveBeenCalledOnce();
  });

  it("keeps out of editable text", () => {
    const element = document.createElement("div");
    element.setAttribute("contenteditable", "true");
    document.body.append(element);
    type("Enter", { ctrlKey: true }, element);
    expect(flow.submit).not.toHaveBeenCalled();
  });

  it("keeps out while a dialog is open", () => {
    const dialog = document.createElement("dialog");
    dialog.setAttribute("open", "");
    document.body.append(dialog);
    type("Enter", { ctrlKey: true });
    expect(flow.submit).not.toHaveBeenCalled();
  });

  it("never opens the browser's save dialog, even without a tile", () => {
    stop();
    stop = listenToKeys(() => null);
    expect(type("s", { ctrlKey: true }).defaultPrevented).toBe(true);
    expect(type("b").defaultPrevented).toBe(false);
  });

  it("leaves Tab to those who walk the page with it", () => {
    const stage = document.createElement("div");
    stage.className = "stage";
    document.body.append(stage);
    expect(type("Tab").defaultPrevented).toBe(false);
    stage.dispatchEvent(new Event("pointermove", { bubbles: true }));
    const { visible } = settings.overlay.value;
    expect(type("Tab").defaultPrevented).toBe(true);
    expect(settings.overlay.value.visible).toBe(!visible);
    // who has come to the stage with Tab leaves it with Tab, wherever the mouse lies
    stage.dispatchEvent(new Event("focusin", { bubbles: true }));
    expect(type("Tab").defaultPrevented).toBe(false);
  });

  it("holds a key until it is let go or the window is left", () => {
    type("h", { code: "KeyH" });
    expect(settings.peek.value).toBe(true);
    dispatchEvent(new KeyboardEvent("keyup", { key: "h", code: "KeyH" }));
    expect(settings.peek.value).toBe(false);
    type("h", { code: "KeyH" });
    dispatchEvent(new Event("blur"));
    expect(settings.peek.value).toBe(false);
  });

  it("reads the digit printed on a key where digits need Shift", () => {
    type("é", { code: "Digit2" });
    expect(settings.paintValue.value).toBe(2);
    // "-" is a key of its own and stands on the 6 of AZERTY
    const size = settings.brushSize.value;
    type("-", { code: "Digit6" });
    expect(settings.brushSize.value).toBeLessThan(size);
  });

  it("follows a new binding at once", () => {
    bind(command("tile.submit"), ["Mod+j"]);
    type("Enter", { ctrlKey: true });
    expect(flow.submit).not.toHaveBeenCalled();
    type("j", { ctrlKey: true });
    expect(flow.submit).toHaveBeenCalledOnce();
  });

  it("gives every command an own id and title", () => {
    const of = (pick: (candidate: Command) => string) => new Set(commands.map(pick)).size;
    expect([of((c) => c.id), of((c) => c.title)]).toEqual([commands.length, commands.length]);
  });
});
