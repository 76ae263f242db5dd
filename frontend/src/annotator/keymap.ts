/** Which key means which command: by the character a key produces, with the person's own choice. */
import { computed, effect } from "@preact/signals";
import { stored } from "../shell/stored";
import { type Command, commands, type Context } from "./commands";

const APPLE = /Mac|iPhone|iPad/.test(globalThis.navigator?.userAgent ?? "");

/** Keys chosen by the person, by command; what is absent has its usual keys. */
export const chosenKeys = stored<Record<string, readonly string[]>>("keys", {});

/** The hand that holds the mouse or pen; the other one is on the keyboard. */
export const hand = stored<{ holds: "right" | "left" }>("hand", { holds: "right" });

// the panels change sides with it
effect(() => {
  document.documentElement.dataset.hand = hand.value.holds;
});

/** Keys under the right hand, for people whose left hand holds the pen. */
const rightHandKeys: Record<string, readonly string[]> = {
  "tool.brush": ["j"],
  "tool.eraser": ["k"],
  "tool.swap": ["m"],
  "tool.fill": ["y"],
  "tool.holes": ["Shift+y"],
  "tool.wand": ["Shift+j"],
  "tool.superpixel": ["Shift+k"],
  "tool.watershed": ["Shift+m"],
  "tool.threshold": ["Shift+n"],
  "tool.restore": ["Shift+p"],
  "tool.pan": ["b"],
  "view.overlay": ["Shift+o", "Tab"],
  "edit.undo": ["Mod+z", "Delete"],
  "edit.redo": ["Mod+Shift+z", "Mod+y", "Insert"],
};

/** Keys the browser, a focused control or a tool needs for itself. */
const taken: Record<string, string> = {
  Enter: "Enter closes polygons and presses buttons",
  Space: "Space is held to move the tile",
  Escape: "Escape ends what a tool has begun",
  Backspace: "Backspace takes back a corner of a polygon",
  Tab: "Tab goes to the next control",
  "Shift+Tab": "Shift+Tab goes to the control before",
  "Mod+w": "the browser closes its tab with it",
  "Mod+t": "the browser opens a tab with it",
  "Mod+n": "the browser opens a window with it",
  "Mod+r": "the browser loads the page anew with it",
  "Mod+l": "the browser goes to its address with it",
  "Mod+c": "the browser copies with it",
  "Mod+v": "the browser pastes with it",
};
const arrow = /^(Shift\+)?Arrow/;

/** What is needed of a key press. */
export type Press = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey"> & {
  getModifierState?: (name: string) => boolean;
};

/**
 * Name a key press: "b", "Shift+f", "Mod+Enter", "[". Mod is Ctrl, on a Mac Cmd. A sign such as
 * "[" or "?" is named alone, whatever has to be held to produce it on this keyboard. Null for a
 * modifier by itself and for dead keys.
 */
export function keyName(event: Press, apple = APPLE): string | null {
  const { key } = event;
  if (["Control", "Meta", "Alt", "AltGraph", "Shift", "Dead", "Unidentified"].includes(key)) return null;
  const single = [...key].length === 1;
  const letter = single && key.toLowerCase() !== key.toUpperCase();
  const sign = single && !letter && key !== " ";
  // AltGr arrives as Ctrl+Alt on Windows; Option makes signs on a Mac
  const composed = sign && (event.getModifierState?.("AltGraph") || (apple && event.altKey));
  const mod = apple ? event.metaKey : event.ctrlKey && !composed;
  const parts = [
    mod && "Mod",
    apple && event.ctrlKey && "Ctrl",
    event.altKey && !composed && "Alt",
    event.shiftKey && !sign && "Shift",
    key === " " ? "Space" : letter ? key.toLowerCase() : key,
  ];
  return parts.filter(Boolean).join("+");
}

/** A key as people read it. */
export function keyText(name: string, apple = APPLE): string {
  const words: Record<string, string> = apple
    ? { Mod: "⌘", Alt: "⌥", Shift: "⇧", Ctrl: "⌃" }
    : { Mod: "Ctrl" };
  return name
    .replace(/^(.*\+)?(.)$/, (_, before = "", key: string) => before + key.toUpperCase())
    .split(/\+(?=.)/)
    .map((part) => words[part] ?? part)
    .join(apple ? "" : "+");
}

/** The keys of a command as they are now. */
export function keysOf(command: Command): readonly string[] {
  const preset = hand.value.holds === "left" ? rightHandKeys[command.id] : undefined;
  return chosenKeys.value[command.id] ?? preset ?? command.keys;
}

/** The first key of a command for a tooltip: " (B)", or nothing. */
export function keyHint(command: Command): string {
  const [first] = keysOf(command);
  return first === undefined ? "" : ` (${keyText(first)})`;
}

const byKey = computed(() => {
  const map = new Map<string, Command[]>();
  for (const command of commands) {
    for (const key of keysOf(command)) map.set(key, [...(map.get(key) ?? []), command]);
  }
  return map;
});

/** The command a key means; the first of the list when several claim it. */
export function commandFor(key: string): Command | undefined {
  return byKey.value.get(key)?.[0];
}

/** Keys that more than one command claims. */
export const conflicts = computed(
  () => new Map([...byKey.value].filter(([, claimed]) => claimed.length > 1)),
);

/** Why a key cannot be chosen, or null. */
export function refusal(key: string): string | null {
  if (arrow.test(key)) return "The arrow keys move the pointer and the sliders. Choose another key.";
  const reason = taken[key];
  return reason === undefined ? null : `This key is not free: ${reason}. Choose another one.`;
}

/** Give a command these keys; the commands that had them lose them. */
export function bind(command: Command, keys: readonly string[]): void {
  const next = { ...chosenKeys.value };
  for (const other of commands) {
    if (other === command) continue;
    const had = keysOf(other);
    const left = had.filter((key) => !keys.includes(key));
    if (left.length < had.length) next[other.id] = left;
  }
  next[command.id] = keys;
  chosenKeys.value = next;
}

/** Back to the usual keys: of one command, or of all. */
export function resetKeys(command?: Command): void {
  if (command === undefined) chosenKeys.value = {};
  else {
    const { [command.id]: _, ...rest } = chosenKeys.value;
    chosenKeys.value = rest;
  }
}

/** Whether keys belong to what has the focus: anything one types or chooses in. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false;
  return target.closest("input, textarea, select, [contenteditable]:not([contenteditable='false'])") !== null;
}

/** Listen to the keyboard until the returned function is called; `context` is null without a tile. */
export function listenToKeys(context: () => Context | null): () => void {
  const held = new Map<string, Command>();
  let pointing = false;
  const moved = (event: Event) => {
    pointing = event.target instanceof Element && event.target.closest(".stage") !== null;
  };
  const focused = () => void (pointing = false);
  const release = (code: string) => {
    held.get(code)?.release?.();
    held.delete(code);
  };
  const down = (event: KeyboardEvent) => {
    if (event.isComposing || event.defaultPrevented) return;
    const name = keyName(event);
    const command = name === null ? undefined : (commandFor(name) ?? commandFor(digit(event)));
    if (!command) return;
    if (!command.anywhere && (typing(event.target) || document.querySelector("dialog[open]"))) return;
    // Tab is for getting about unless the pointer is at work on the tile
    if (name === "Tab" && !pointing) return;
    const now = context();
    if (!now && !command.anywhere) return;
    event.preventDefault();
    if (!now || (event.repeat && !command.repeats)) return;
    if (command.release) held.set(event.code, command);
    command.run(now);
  };
  const up = (event: KeyboardEvent) => release(event.code);
  // a key let go in another window is never heard of
  const away = () => [...held.keys()].forEach(release);
  addEventListener("keydown", down);
  addEventListener("keyup", up);
  addEventListener("blur", away);
  addEventListener("pointermove", moved, { passive: true });
  addEventListener("focusin", focused);
  return () => {
    away();
    removeEventListener("keydown", down);
    removeEventListener("keyup", up);
    removeEventListener("blur", away);
    removeEventListener("pointermove", moved);
    removeEventListener("focusin", focused);
  };
}

/** The digit printed on a key of the top row that types something else without Shift (AZERTY). */
function digit(event: Press): string {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
  return plain ? (/^Digit(\d)$/.exec(event.code)?.[1] ?? "") : "";
}
