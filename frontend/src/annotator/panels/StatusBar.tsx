/** The line below the tile: what is under the pointer, what the tool does, whether all is saved. */
import { activeTool, tools } from "../canvas/tools/tools";
import { working } from "../canvas/scribbles";
import { type Saving, saving } from "../flow/actions";
import { UNKNOWN } from "../../raster/types";
import type { Workbench } from "../workbench";
import { nanometres, pixelSize } from "./lengths";
import "./panels.css";
import { probability } from "./probability";

/** Place, grey, label and probability under the pointer; hint; zoom; save state. */
export function StatusBar({ bench }: { bench: Workbench }) {
  return (
    <footer class="statusbar">
      <Readout bench={bench} />
      <span class="hint">{working.value ?? tools.value?.[activeTool.value].hint}</span>
      <span class="zoom">{Math.round(100 * bench.view.value.scale)} %</span>
      <SaveChip />
    </footer>
  );
}

function Readout({ bench }: { bench: Workbench }) {
  const at = bench.pointer.value;
  // the label under a pointer that stays may change
  void bench.revision.value;
  const { width, height, data } = bench.raster;
  if (at === null || at.x < 0 || at.y < 0 || at.x >= width || at.y >= height) {
    return <span class="readout" />;
  }
  const { grey, box, project } = bench.sheet;
  const size = pixelSize(bench);
  const greyValue = grey.data[(box.y + at.y) * grey.width + box.x + at.x];
  const value = data[at.y * width + at.x];
  const chance = probability.value;
  const named = project.labels.find((label) => label.value === chance?.value);
  return (
    <span class="readout">
      <span>
        x {at.x}, y {at.y}
        {size && ` · ${nanometres(at.x * size.nm)}, ${nanometres(at.y * size.nm)}${size.assumed ? ", assumed" : ""}`}
      </span>
      <span>grey {Number.isInteger(greyValue) ? greyValue : greyValue.toPrecision(4)}</span>
      <span>{nameOf(bench, value)}</span>
      {chance && named && (
        <span>
          p({named.name}) {(chance.map[at.y * width + at.x] / 255).toFixed(2)}
        </span>
      )}
    </span>
  );
}

/** What a raster value is called. */
export function nameOf(bench: Workbench, value: number): string {
  if (value === 0) return "background";
  if (value === UNKNOWN) return "unknown";
  return bench.sheet.project.labels.find((label) => label.value === value)?.name ?? `value ${value}`;
}

/** Whether the work is safe, in words. */
export function savingText({ state, pending }: Saving): string {
  const kept = `${pending} ${pending === 1 ? "edit" : "edits"} kept`;
  switch (state) {
    case "saved":
      return "Saved";
    case "saving":
      return "Saving …";
    case "offline":
      return `Offline, ${kept} on this computer`;
    case "conflict":
      return `Conflict, ${kept} on this computer`;
    case "practice":
      return "Practice, not kept";
    case "signed-out":
      return `Signed out, ${kept} on this computer`;
  }
}

function SaveChip() {
  return (
    <span class={`chip ${saving.value.state}`} role="status">
      {savingText(saving.value)}
    </span>
  );
}
