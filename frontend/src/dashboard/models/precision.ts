/** Precision over recall as uPlot wants it: the curve, where it is served, the floor. */
import type { AlignedData, Options } from "uplot";
import type { Schemas } from "../../api/client";

export type LabelCurve = Schemas["LabelCurveView"];

/** Recall, then precision of the curve, of the operating point and of the floor. */
export function aligned(label: LabelCurve): AlignedData {
  const { recall, precision } = label.operating_point;
  const rows: [number, number | null, number | null][] = label.points.map((point) => [
    point.recall,
    point.precision,
    null,
  ]);
  if (recall !== null && precision !== null) rows.push([recall, null, precision]);
  rows.sort((a, b) => a[0] - b[0]);
  const floor = label.precision_floor;
  if (floor !== null) rows.unshift([0, null, null]);
  if (floor !== null) rows.push([1, null, null]);
  return [
    rows.map(([x]) => x),
    rows.map(([, curve]) => curve),
    rows.map(([, , served]) => served),
    rows.map(() => floor),
  ];
}

/** How a label's curve is drawn. */
export function options(colour: string, ink: string): Omit<Options, "width"> {
  const axis = { stroke: ink, grid: { stroke: "#8884" } };
  return {
    height: 220,
    legend: { show: false },
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1] } },
    axes: [
      { ...axis, label: "recall" },
      { ...axis, label: "precision" },
    ],
    series: [
      {},
      { label: "precision", stroke: colour, width: 2, spanGaps: true, points: { show: false } },
      { label: "served", stroke: "transparent", points: { show: true, size: 12, fill: ink, stroke: ink } },
      { label: "floor", stroke: ink, width: 1, dash: [4, 4], points: { show: false } },
    ],
  };
}

/** The same in words. */
export function told(label: LabelCurve): string {
  const { offset, precision, recall } = label.operating_point;
  const share = (value: number | null) => (value === null ? "–" : value.toFixed(3));
  const served = `served at recall ${share(recall)} and precision ${share(precision)}`;
  if (label.precision_floor === null) return `${served}, as the network decides`;
  const floor = `precision floor ${label.precision_floor.toFixed(2)}`;
  return `${served}, logit offset ${offset.toFixed(1)}, ${floor}`;
}
