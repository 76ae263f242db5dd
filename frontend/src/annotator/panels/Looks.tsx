/** How grey values and labels are drawn; none of it changes the data. */
import { useMemo } from "preact/hooks";
import type { OverlayMode } from "../../raster/colours";
import { percentiles } from "../../raster/display";
import { Choice } from "../../widgets/Choice";
import { Slider } from "../../widgets/Slider";
import { displayOf, shownGrey } from "../canvas/shown";
import { displays, overlay, plainDisplay } from "../settings";
import type { Workbench } from "../workbench";
import { changeDisplay } from "./displayed";
import { Histogram } from "./Histogram";

/** Window, gamma, invert, local contrast and smoothing; kept per project. */
export function ImageLooks({ bench }: { bench: Workbench }) {
  const { grey, project } = bench.sheet;
  const range = useMemo(() => percentiles(grey, 0, 100), [grey]);
  const display = displayOf(bench);
  const { low, high } = shownGrey(bench).value;
  const real = grey.data instanceof Float32Array;
  const step = real ? (range.high - range.low) / 1000 || 1 : 1;
  const says = (value: number) => (real ? value.toPrecision(3) : String(Math.round(value)));
  const set = (changes: Parameters<typeof changeDisplay>[1]) => changeDisplay(bench, changes);
  const Check = (props: { name: "invert" | "clahe" | "smooth"; text: string }) => (
    <label class="check">
      <input
        type="checkbox"
        checked={display[props.name]}
        onChange={() => set({ [props.name]: !display[props.name] })}
      />
      {props.text}
    </label>
  );
  const setLow = (value: number) => set({ low: value, high: Math.max(value + step, high) });
  const setHigh = (value: number) => set({ low: Math.min(low, value - step), high: value });
  return (
    <>
      <Histogram
        bench={bench}
        range={range}
        window={{ low, high }}
        change={(next) => (next.low === low ? setHigh(next.high) : setLow(next.low))}
      />
      <Slider
        label="Black at"
        min={range.low}
        max={range.high}
        step={step}
        value={low}
        says={says}
        change={setLow}
      />
      <Slider
        label="White at"
        min={range.low}
        max={range.high}
        step={step}
        value={high}
        says={says}
        change={setHigh}
      />
      <Slider
        label="Gamma"
        min={-20}
        max={20}
        value={Math.round(10 * Math.log2(display.gamma))}
        says={() => display.gamma.toFixed(2)}
        change={(place) => set({ gamma: 2 ** (place / 10) })}
      />
      <Check name="invert" text="Invert" />
      <Check name="clahe" text="Even out contrast (CLAHE)" />
      <Check name="smooth" text="Smooth when zoomed in" />
      <p class="row">
        <button type="button" disabled={display.low === null} onClick={() => set({ low: null, high: null })}>
          Window from the image
        </button>
        <button
          type="button"
          onClick={() => (displays.value = { ...displays.value, [project.slug]: plainDisplay })}
        >
          Reset
        </button>
      </p>
    </>
  );
}

/** Opacity, areas or outlines, and patterns for those who do not tell the colours apart. */
export function OverlayLooks() {
  const { visible, opacity, mode, patterns } = overlay.value;
  return (
    <>
      <label class="check">
        <input
          type="checkbox"
          checked={visible}
          onChange={() => (overlay.value = { ...overlay.value, visible: !visible })}
        />
        Show the labels
      </label>
      <Slider
        label="Opacity"
        min={0}
        max={100}
        value={Math.round(100 * opacity)}
        says={(percent) => `${percent} %`}
        change={(percent) => (overlay.value = { ...overlay.value, opacity: percent / 100 })}
      />
      <Choice<OverlayMode>
        label="Drawn as"
        options={[
          ["fill", "Areas"],
          ["contour", "Outlines"],
          ["both", "Both"],
        ]}
        value={mode}
        change={(next) => (overlay.value = { ...overlay.value, mode: next })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={patterns}
          onChange={() => (overlay.value = { ...overlay.value, patterns: !patterns })}
        />
        Patterns beside colours
      </label>
    </>
  );
}
