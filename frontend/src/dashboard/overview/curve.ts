/** The learning curve as uPlot wants it: one line and one band per organelle. */
import type { AlignedData, Options, Series } from "uplot";
import type { Label, Schemas } from "../../api/client";

type Round = Schemas["RoundView"];
export type Axis = "tiles" | "hours";
export type Figure = "dice" | "recall";

/** What the curve shows. */
export interface Choice {
  readonly split: "validation" | "test";
  readonly axis: Axis;
  readonly figure: Figure;
}

/** Rounds with a place on the axis, in its order; hours leave out rounds nobody timed. */
export function placed(rounds: readonly Round[], axis: Axis): [number, Round][] {
  return rounds
    .map((round): [number | null, Round] => [
      axis === "tiles" ? round.tiles : round.active_seconds === null ? null : round.active_seconds / 3600,
      round,
    ])
    .filter((pair): pair is [number, Round] => pair[0] !== null)
    .sort((a, b) => a[0] - b[0] || a[1].round - b[1].round);
}

/** x, then for every label its figure, the interval's lower and its upper end. */
export function aligned(rounds: readonly Round[], labels: readonly Label[], choice: Choice): AlignedData {
  const points = placed(rounds, choice.axis);
  const read = (round: Round, label: Label, name: "" | "_low" | "_high"): number | null =>
    round.quality[choice.split]?.[label.name]?.[`${choice.figure}${name}`] ?? null;
  const columns = labels.flatMap((label) =>
    (["", "_low", "_high"] as const).map((name) => points.map(([, round]) => read(round, label, name))),
  );
  return [points.map(([x]) => x), ...columns];
}

/** Nobody annotates half a tile. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000];

/** How the curve is drawn. */
export function options(labels: readonly Label[], choice: Choice, ink: string): Omit<Options, "width"> {
  const line = (label: Label): Series[] => [
    {
      label: label.name,
      stroke: label.colour,
      width: 2,
      // a version nobody measured is no break in what was learnt
      spanGaps: true,
      points: { show: true, size: 7, fill: label.colour },
      value: (_, value) => (value === null ? "–" : value.toFixed(3)),
    },
    { label: `${label.name} low`, stroke: "transparent", spanGaps: true, points: { show: false } },
    { label: `${label.name} high`, stroke: "transparent", spanGaps: true, points: { show: false } },
  ];
  const counted = choice.axis === "tiles";
  return {
    height: 320,
    legend: { show: false },
    scales: { x: { time: false }, y: { range: [0, 1] } },
    axes: [
      {
        label: counted ? "annotated tiles" : "hours of annotation",
        stroke: ink,
        grid: { stroke: "#8884" },
        ...(counted && { incrs: WHOLE }),
      },
      { label: choice.figure === "dice" ? "Dice" : "recall", stroke: ink, grid: { stroke: "#8884" } },
    ],
    series: [{}, ...labels.flatMap(line)],
    bands: labels.map((label, n) => ({ series: [3 * n + 3, 3 * n + 2], fill: `${label.colour}33` })),
  };
}
