/** The settings of the tool in use, and what it may paint over. */
import { Choice } from "../../widgets/Choice";
import { Slider } from "../../widgets/Slider";
import {
  brush,
  brushSize,
  guard,
  type GuardMode,
  paintValue,
  superpixelSize,
  threshold,
  tool,
  wand,
} from "../settings";
import type { Workbench } from "../workbench";
import { lengthText } from "./lengths";

const presets = [1, 4, 16, 48, 128];
const withBrush = ["brush", "eraser", "threshold", "restore"];

/** Size and shape of the brush, and what else the tool can be told. */
export function ToolOptions({ bench }: { bench: Workbench }) {
  return (
    <>
      {withBrush.includes(tool.value) && <Brush bench={bench} />}
      {tool.value === "wand" && (
        <>
          <Slider
            label="Tolerance"
            min={0}
            max={96}
            value={wand.value.tolerance}
            says={(grey) => `${grey} of 255`}
            change={(tolerance) => (wand.value = { ...wand.value, tolerance })}
          />
          <Slider
            label="Reach"
            min={8}
            max={256}
            value={wand.value.radius}
            says={(pixels) => lengthText(bench, pixels)}
            change={(radius) => (wand.value = { ...wand.value, radius })}
          />
        </>
      )}
      {tool.value === "superpixel" && (
        <Slider
          label="Size of a patch"
          min={6}
          max={48}
          value={superpixelSize.value}
          says={(pixels) => lengthText(bench, pixels)}
          change={(size) => (superpixelSize.value = size)}
        />
      )}
      {tool.value === "threshold" && <GreyRange />}
      {["fill", "holes", "polygon", "picker", "watershed", "pan"].includes(tool.value) && (
        <p class="quiet">This tool has nothing to set.</p>
      )}
    </>
  );
}

function Brush({ bench }: { bench: Workbench }) {
  const set = (size: number) => (brush.value = { ...brush.value, size });
  return (
    <>
      <Slider
        label="Size"
        min={0}
        max={100}
        // single pixels matter at the small end: the slider runs in powers
        value={Math.round((100 * Math.log2(brushSize.value)) / 8)}
        says={() => lengthText(bench, brushSize.value)}
        change={(place) => set(Math.round(2 ** ((8 * place) / 100)))}
      />
      <div class="row presets" role="group" aria-label="Brush sizes">
        {presets.map((size) => (
          <button
            key={size}
            type="button"
            class="small"
            aria-pressed={brushSize.value === size}
            aria-label={`${size} pixels`}
            onClick={() => set(size)}
          >
            {size}
          </button>
        ))}
      </div>
      <Choice
        label="Shape"
        options={[
          ["round", "Round"],
          ["square", "Square"],
        ]}
        value={brush.value.square ? "square" : "round"}
        change={(shape) => (brush.value = { ...brush.value, square: shape === "square" })}
      />
    </>
  );
}

function GreyRange() {
  const { low, high } = threshold.value;
  return (
    <>
      <Slider
        label="From grey"
        min={0}
        max={255}
        value={low}
        change={(value) => (threshold.value = { low: value, high: Math.max(value, high) })}
      />
      <Slider
        label="To grey"
        min={0}
        max={255}
        value={high}
        change={(value) => (threshold.value = { low: Math.min(low, value), high: value })}
      />
      <p class="quiet">Greys as they are shown: 0 is black, 255 white.</p>
    </>
  );
}

/** What painting goes over. */
export function Protect({ bench }: { bench: Workbench }) {
  const { mode, value } = guard.value;
  return (
    <>
      <Choice<GuardMode>
        label="Paint over"
        options={[
          ["all", "All"],
          ["background", "Background"],
          ["only", "One label"],
        ]}
        value={mode}
        change={(next) => (guard.value = { mode: next, value: value || paintValue.value })}
      />
      {mode === "only" && (
        <label class="field">
          <span>Only over</span>
          <select
            value={String(value)}
            onChange={(event) => (guard.value = { mode, value: Number(event.currentTarget.value) })}
          >
            {bench.sheet.project.labels.map((label) => (
              <option key={label.value} value={String(label.value)}>
                {label.name}
              </option>
            ))}
            <option value="0">Background</option>
            <option value="255">Unknown</option>
          </select>
        </label>
      )}
    </>
  );
}
