/** Everything the page can be told to do: one list for keys, buttons, help and the choice of keys. */
import { type Change, UNKNOWN } from "../raster/types";
import { complain, tell } from "../shell/toasts";
import type { Command } from "./command";
import { nextHotspot } from "./canvas/hotspots";
import { displayOf } from "./canvas/shown";
import { fit, zoomBy, zoomTo } from "./canvas/viewport";
import { choose, cycleGuard, cycleLabel, cycleShown, resize, toggle, toggleIn } from "./panels/acts";
import { type Cleaning, clean } from "./panels/cleaning";
import { changeDisplay } from "./panels/displayed";
import { onlyHot } from "./panels/hot";
import { acceptAll, acceptLabel, clearLabel } from "./panels/prelabel";
import { sheet } from "./panels/sheets";
import * as settings from "./settings";
import type { Workbench } from "./workbench";

export { type Command, type Context, groups } from "./command";

/** Put a change on record, or say that there was none. */
export function record(bench: Workbench, change: Change | null): void {
  if (change === null) tell("Nothing changes: there is nothing to do, or it is protected.");
  bench.done(change);
}

const tools = (
  [
    ["brush", "Brush", "Brush", "b"],
    ["eraser", "Eraser", "Eraser", "e"],
    ["fill", "Fill", "Fill a region of one label", "f"],
    ["holes", "Holes", "Fill the holes of a label", "Shift+f"],
    ["polygon", "Polygon", "Polygon and lasso", "p"],
    ["picker", "Pick", "Pick the label under the pointer", "i"],
    ["wand", "Wand", "Wand: grow over similar grey", "w"],
    ["superpixel", "Patches", "Paint superpixels", "s"],
    ["watershed", "Scribble", "Scribble and flood (watershed)", "a"],
    ["threshold", "Range", "Brush within a grey range", "t"],
    ["restore", "Restore", "Brush back the pre-label", "r"],
    ["pan", "Move", "Move the tile", "m"],
  ] as const
).map(
  ([name, word, title, key]): Command => ({
    id: `tool.${name}`,
    title,
    group: "Tools",
    keys: [key],
    button: [name, word],
    run: () => void (settings.tool.value = name),
    pressed: () => settings.tool.value === name,
  }),
);

const sizes = (
  [
    ["smaller", "Smaller brush", ["[", "-"], -1],
    ["larger", "Larger brush", ["]", "="], 1],
  ] as const
).map(
  ([name, title, keys, step]): Command => ({
    id: `brush.${name}`,
    title,
    group: "Brush",
    keys,
    repeats: true,
    run: () => resize(step),
  }),
);

const labels = Array.from(
  { length: 8 },
  (_, index): Command => ({
    id: `label.${index + 1}`,
    title: `Label ${index + 1} of the list`,
    group: "Labels",
    keys: [String(index + 1)],
    run: ({ bench }) => {
      const label = bench.sheet.project.labels[index];
      if (label) choose(label.value);
    },
  }),
);

const neighbours = (
  [
    ["next", "Next label", ".", 1],
    ["previous", "Label before", ",", -1],
  ] as const
).map(
  ([name, title, key, step]): Command => ({
    id: `label.${name}`,
    title,
    group: "Labels",
    keys: [key],
    repeats: true,
    run: ({ bench }) => cycleLabel(bench, step),
  }),
);

const zooms = (
  [
    ["in", "Zoom in", ["+", "PageUp"], 1.25],
    ["out", "Zoom out", ["_", "PageDown"], 0.8],
  ] as const
).map(
  ([name, title, keys, factor]): Command => ({
    id: `view.${name}`,
    title,
    group: "View",
    keys,
    repeats: true,
    run: ({ bench }) => zoomBy(bench, factor),
  }),
);

const cleanings = (
  [
    ["grow", "Grow the label"],
    ["shrink", "Shrink the label"],
    ["smooth", "Smooth the label's outline"],
    ["holes", "Fill all holes of the label"],
    ["specks", "Remove the label's specks"],
  ] as const satisfies readonly (readonly [Cleaning, string])[]
).map(
  ([act, title]): Command => ({
    id: `clean.${act}`,
    title,
    group: "Clean up",
    keys: [],
    run: ({ bench }) => record(bench, clean(bench, act)),
  }),
);

/** The list. */
export const commands: readonly Command[] = [
  ...tools,
  {
    id: "tool.swap",
    title: "Swap brush and eraser",
    group: "Tools",
    keys: ["x"],
    run: () => void (settings.tool.value = settings.tool.value === "eraser" ? "brush" : "eraser"),
  },
  ...sizes,
  {
    id: "brush.shape",
    title: "Round or square brush",
    group: "Brush",
    keys: ["Shift+b"],
    run: () => toggleIn(settings.brush, "square"),
    pressed: () => settings.brush.value.square,
  },
  {
    id: "brush.protect",
    title: "Protect: paint over all, only background, only one label",
    group: "Brush",
    keys: ["l"],
    run: cycleGuard,
  },
  ...labels,
  {
    id: "label.background",
    title: "Background",
    group: "Labels",
    keys: ["0"],
    run: () => choose(0),
  },
  {
    id: "label.unknown",
    title: "Unknown: not to be learnt from",
    group: "Labels",
    keys: ["9", "`"],
    run: () => choose(UNKNOWN),
  },
  ...neighbours,
  {
    id: "label.hide",
    title: "Hide or show the label",
    group: "Labels",
    keys: ["Shift+h"],
    run: () => toggle(settings.hidden, settings.paintValue.value),
  },
  {
    id: "label.lock",
    title: "Lock or unlock the label",
    group: "Labels",
    keys: ["Shift+l"],
    run: () => toggle(settings.locked, settings.paintValue.value),
  },
  {
    id: "view.peek",
    title: "Raw image, while held",
    group: "View",
    keys: ["h"],
    run: () => void (settings.peek.value = true),
    release: () => void (settings.peek.value = false),
    pressed: () => settings.peek.value,
  },
  {
    id: "view.overlay",
    title: "Show the labels",
    group: "View",
    keys: ["v", "Tab"],
    button: ["shown", "Labels"],
    run: () => toggleIn(settings.overlay, "visible"),
    pressed: () => settings.overlay.value.visible,
  },
  {
    id: "view.outline",
    title: "Labels as areas, outlines or both",
    group: "View",
    keys: ["o"],
    run: () => {
      const next = { both: "contour", contour: "fill", fill: "both" } as const;
      const { mode } = settings.overlay.value;
      settings.overlay.value = { ...settings.overlay.value, mode: next[mode] };
    },
  },
  {
    id: "view.shown",
    title: "My labels, the pre-label, or their difference",
    group: "View",
    keys: ["d"],
    run: ({ bench }) => cycleShown(bench),
  },
  {
    id: "view.uncertainty",
    title: "Show where the model is unsure",
    group: "View",
    keys: ["u"],
    button: ["doubt", "Unsure"],
    run: () => toggleIn(settings.uncertainty, "visible"),
    pressed: () => settings.uncertainty.value.visible,
  },
  {
    id: "view.hotspot",
    title: "Go to the next spot where the model is unsure",
    group: "View",
    keys: ["n"],
    button: ["next", "Next spot"],
    run: ({ bench }) => void nextHotspot(bench),
  },
  {
    id: "view.fit",
    title: "Fit the tile to the window",
    group: "View",
    keys: ["Home", "z"],
    button: ["fit", "Fit"],
    run: ({ bench }) => fit(bench),
  },
  {
    id: "view.actual",
    title: "One image pixel to one screen pixel",
    group: "View",
    keys: ["Shift+z"],
    button: ["actual", "1:1"],
    run: ({ bench }) => zoomTo(bench, 1),
  },
  ...zooms,
  {
    id: "view.invert",
    title: "Invert the grey values on the screen",
    group: "View",
    keys: ["Shift+i"],
    run: ({ bench }) => changeDisplay(bench, { invert: !displayOf(bench).invert }),
  },
  {
    id: "edit.undo",
    title: "Undo",
    group: "Edit",
    keys: ["Mod+z"],
    button: ["undo", "Undo"],
    repeats: true,
    run: ({ bench }) => bench.undo(),
  },
  {
    id: "edit.redo",
    title: "Redo",
    group: "Edit",
    keys: ["Mod+Shift+z", "Mod+y"],
    button: ["redo", "Redo"],
    repeats: true,
    run: ({ bench }) => bench.redo(),
  },
  {
    id: "prelabel.accept",
    title: "Accept the pre-label of the label",
    group: "Pre-label",
    keys: ["Shift+a"],
    run: ({ bench }) => record(bench, acceptLabel(bench, settings.paintValue.value)),
  },
  {
    id: "prelabel.all",
    title: "Accept the whole pre-label",
    group: "Pre-label",
    keys: [],
    run: ({ bench }) => record(bench, acceptAll(bench)),
  },
  {
    id: "prelabel.clear",
    title: "Clear the label from the tile",
    group: "Pre-label",
    keys: [],
    run: ({ bench }) => record(bench, clearLabel(bench, settings.paintValue.value)),
  },
  {
    id: "prelabel.hot",
    title: "Label only where the model is unsure: set the rest to unknown",
    group: "Pre-label",
    keys: [],
    run: ({ bench }) =>
      void onlyHot(bench, settings.uncertainty.value.threshold)
        .then((change) => record(bench, change))
        .catch(complain),
  },
  ...cleanings,
  {
    id: "tile.submit",
    title: "Submit the tile",
    group: "Tile",
    keys: ["Mod+Enter"],
    button: ["submit", "Submit"],
    run: ({ flow }) => flow.submit(),
  },
  {
    id: "tile.skip",
    title: "Skip the tile, with a reason",
    group: "Tile",
    keys: ["Mod+Space", "Alt+Enter"],
    button: ["skip", "Skip"],
    run: ({ flow }) => flow.skip(),
  },
  {
    id: "tile.flag",
    title: "Flag the tile for an expert",
    group: "Tile",
    keys: ["Shift+e"],
    button: ["flag", "Flag"],
    run: ({ flow }) => flow.flag(),
  },
  {
    id: "tile.save",
    title: "Save now (it is saved all the time)",
    group: "Tile",
    keys: ["Mod+s"],
    anywhere: true,
    run: ({ flow }) => flow.save(),
  },
  {
    id: "tile.release",
    title: "Give the tile back to the queue",
    group: "Tile",
    keys: [],
    run: ({ flow }) => flow.release(),
  },
  {
    id: "help.sheet",
    title: "All keys",
    group: "Help",
    keys: ["?", "F1"],
    button: ["help", "Keys"],
    run: () => void (sheet.value = "help"),
  },
];

/** A command by its id. */
export function command(id: string): Command {
  const found = commands.find((candidate) => candidate.id === id);
  if (!found) throw new Error(`There is no command ${id}.`);
  return found;
}
