/** Where the model is unsure: the map, its legend, and the way from spot to spot. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { HEAT } from "../../raster/heat";
import { Slider } from "../../widgets/Slider";
import { normalEntropy } from "../canvas/hotspots";
import type { Context } from "../commands";
import { uncertainty } from "../settings";
import { CommandButton } from "./CommandButton";
import { readOut } from "./probability";

/** Off at first sight, lest it anchor the eye. */
export function Uncertainty({ context }: { context: Context }) {
  const { bench } = context;
  const { visible, opacity, threshold } = uncertainty.value;
  const missing = useSignal(false);
  useEffect(() => {
    missing.value = false;
    if (!visible) return;
    normalEntropy(bench).then(
      (map) => (missing.value = map === null),
      () => undefined, // the stage says what went wrong
    );
  }, [bench, visible]);
  const set = (changes: Partial<typeof uncertainty.value>) =>
    (uncertainty.value = { ...uncertainty.value, ...changes });
  return (
    <>
      <label class="check">
        <input type="checkbox" checked={visible} onChange={() => set({ visible: !visible })} />
        Show the map
      </label>
      {missing.value && <p class="quiet">No model has looked at this tile.</p>}
      <Legend threshold={threshold} />
      <Slider
        label="Opacity"
        min={0}
        max={100}
        value={Math.round(100 * opacity)}
        says={(percent) => `${percent} %`}
        change={(percent) => set({ opacity: percent / 100 })}
      />
      <Slider
        label="From"
        min={0}
        max={100}
        value={Math.round(100 * threshold)}
        says={(percent) => `${percent} % of a pure guess`}
        change={(percent) => set({ threshold: percent / 100 })}
      />
      <p class="row">
        <CommandButton id="view.hotspot" context={context}>
          Next hot spot
        </CommandButton>
      </p>
      <p>
        <CommandButton id="prelabel.hot" context={context} class="long">
          Label only hot regions: set the rest to unknown
        </CommandButton>
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={readOut.value.probability}
          onChange={() => (readOut.value = { probability: !readOut.value.probability })}
        />
        Read out the chosen label's probability below the tile
      </label>
    </>
  );
}

function Legend({ threshold }: { threshold: number }) {
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((step) => cssOf(HEAT[step]));
  return (
    <div class="heat">
      <div class="ramp" style={{ background: `linear-gradient(to right, ${stops.join(", ")})` }}>
        <span class="cut" style={{ width: `${100 * threshold}%` }} />
      </div>
      <div class="ends">
        <span>sure</span>
        <span>a pure guess</span>
      </div>
    </div>
  );
}

/** A pixel (alpha, blue, green, red from the top byte down) as a CSS colour. */
function cssOf(pixel: number): string {
  return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
}
