/** A training's curve as uPlot wants it: losses on one chart, Dice on the other. */
import type { AlignedData, Options } from "uplot";
import type { Label, Schemas } from "../../api/client";

type Point = Schemas["CurvePoint"];

/** Steps with training loss and measured loss; steps with the Dice of each label. */
export function curveData(points: readonly Point[], labels: readonly Label[]): Record<"loss" | "dice", AlignedData> {
  const looks = points.filter((point) => point.measured_on);
  return {
    loss: [
      points.map((point) => point.step),
      points.map((point) => point.loss ?? null),
      points.map((point) => point.measured_loss ?? null),
    ],
    dice: [
      looks.map((point) => point.step),
      ...labels.map((label) => looks.map((point) => point.dice?.[label.name] ?? null)),
    ],
  };
}

/** How both are drawn. */
export function curveOptions(labels: readonly Label[], ink: string): Record<"loss" | "dice", Omit<Options, "width">> {
  const axes = (name: string) => [
    { label: "step", stroke: ink, grid: { stroke: "#8884" } },
    { label: name, stroke: ink, grid: { stroke: "#8884" } },
  ];
  const common = { height: 240, legend: { show: true } };
  return {
    loss: {
      ...common,
      scales: { x: { time: false } },
      axes: axes("loss"),
      series: [
        {},
        { label: "training", stroke: "#56b4e9", width: 1.5, points: { show: false } },
        { label: "measured", stroke: "#e69f00", width: 2, spanGaps: true },
      ],
    },
    dice: {
      ...common,
      scales: { x: { time: false }, y: { range: [0, 1] } },
      axes: axes("Dice"),
      series: [
        {},
        ...labels.map((label) => ({ label: label.name, stroke: label.colour, width: 2, spanGaps: true })),
      ],
    },
  };
}
