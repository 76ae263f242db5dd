/** Cleaning up the label that is painted; says beforehand how many pixels change. */
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { Slider } from "../../widgets/Slider";
import { command, type Context } from "../commands";
import { guard, locked, paintValue } from "../settings";
import { UNKNOWN } from "../../raster/types";
import { type Cleaning as Act, cleaningCount, measure } from "./cleaning";
import { lengthText } from "./lengths";

const acts: readonly (readonly [Act, string])[] = [
  ["grow", "Grow"],
  ["shrink", "Shrink"],
  ["smooth", "Smooth"],
  ["holes", "Fill holes"],
  ["specks", "Remove specks"],
];

/** Grow, shrink, smooth, fill holes, remove specks: each one undo step. */
export function Cleaning({ context }: { context: Context }) {
  const { bench } = context;
  const counts = useSignal<Partial<Record<Act, number>>>({});
  const name = useComputed(() => labelName(context, paintValue.value)).value;
  useSignalEffect(() => {
    // all that the counts depend on
    void [bench.revision.value, paintValue.value, measure.value, guard.value, locked.value];
    counts.value = {};
    const later = setTimeout(() => {
      counts.value = Object.fromEntries(acts.map(([act]) => [act, cleaningCount(bench, act)]));
    }, 300);
    return () => clearTimeout(later);
  });
  if (paintValue.value === 0) return <p class="quiet">Choose a label to clean up.</p>;
  return (
    <>
      <p>
        Acts on <strong>{name}</strong>, on the whole tile.
      </p>
      <Slider
        label="Grow and shrink by"
        min={1}
        max={16}
        value={measure.value.pixels}
        says={(pixels) => lengthText(bench, pixels)}
        change={(pixels) => (measure.value = { ...measure.value, pixels })}
      />
      <Slider
        label="Specks are smaller than"
        min={2}
        max={500}
        value={measure.value.speck}
        says={(pixels) => `${pixels} px`}
        change={(speck) => (measure.value = { ...measure.value, speck })}
      />
      <div class="cleanings">
        {acts.map(([act, title]) => (
          <button
            key={act}
            type="button"
            disabled={counts.value[act] === 0}
            onClick={() => command(`clean.${act}`).run(context)}
          >
            {title}
            <span class="share">{countText(counts.value[act])}</span>
          </button>
        ))}
      </div>
    </>
  );
}

function countText(count: number | undefined): string {
  return count === undefined ? "…" : `${count.toLocaleString("en")} px`;
}

function labelName({ bench }: Context, value: number): string {
  if (value === UNKNOWN) return "Unknown";
  return bench.sheet.project.labels.find((label) => label.value === value)?.name ?? "Background";
}
