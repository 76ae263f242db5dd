/** The column of buttons: tools, undo, view, and what is done with the tile. */
import { useRef } from "preact/hooks";
import type { Context } from "../commands";
import { CommandButton } from "./CommandButton";
import { releaseFocus } from "./focus";
import "./panels.css";

const parts: readonly (readonly [string, readonly string[]])[] = [
  [
    "Tools",
    [
      "tool.brush",
      "tool.eraser",
      "tool.fill",
      "tool.holes",
      "tool.polygon",
      "tool.picker",
      "tool.wand",
      "tool.superpixel",
      "tool.watershed",
      "tool.threshold",
      "tool.restore",
      "tool.pan",
    ],
  ],
  ["Steps", ["edit.undo", "edit.redo"]],
  ["View", ["view.fit", "view.actual", "view.overlay", "view.uncertainty", "view.hotspot", "help.sheet"]],
  ["Tile", ["tile.submit", "tile.skip", "tile.flag"]],
];

/** One stop for the Tab key; the arrows go from button to button. */
export function Toolbar({ context }: { context: Context }) {
  const bar = useRef<HTMLDivElement>(null);
  const { bench } = context;
  // whether there is something to undo changes with the labels
  void bench.revision.value;
  const isOff: Record<string, boolean> = {
    "edit.undo": !bench.history.canUndo,
    "edit.redo": !bench.history.canRedo,
    "tool.restore": bench.sheet.prelabel === null,
  };
  // a review that is mended is given back, never set aside
  const offered = (id: string) => id !== "tile.skip" || bench.sheet.task.kind !== "review";
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 2, ArrowUp: -2, ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const buttons = [...(bar.current?.querySelectorAll<HTMLElement>("button:not(:disabled)") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const next = buttons[Math.min(buttons.length - 1, Math.max(0, at + step))];
    if (at < 0 || !next) return;
    event.preventDefault();
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  };
  return (
    <div
      ref={bar}
      class="toolbar"
      role="toolbar"
      aria-label="Tools and steps"
      aria-orientation="vertical"
      onKeyDown={move}
      onClick={releaseFocus}
    >
      {parts.map(([title, ids]) => (
        <div key={title} class={`part ${title.toLowerCase()}`} role="group" aria-label={title}>
          {ids.filter(offered).map((id) => (
            <CommandButton
              key={id}
              id={id}
              context={context}
              disabled={isOff[id] ?? false}
              class={id === "tile.submit" ? "primary" : ""}
              tabIndex={id === "tool.brush" ? 0 : -1}
            />
          ))}
        </div>
      ))}
    </div>
  );
}
