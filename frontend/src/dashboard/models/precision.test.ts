import { describe, expect, it } from "vitest";
import { aligned, type LabelCurve, told } from "./precision";

const label: LabelCurve = {
  value: 4,
  name: "ER",
  colour: "#228833",
  tiles: 9,
  average_precision: 0.7,
  precision_floor: 0.8,
  operating_point: { offset: 0.7, precision: 0.82, recall: 0.5 },
  points: [
    { probability: 0.9, precision: 0.95, recall: 0.3 },
    { probability: 0.2, precision: 0.6, recall: 0.8 },
  ],
};

describe("a precision-recall curve", () => {
  it("has the operating point in its place and the floor all along", () => {
    expect(aligned(label)).toEqual([
      [0, 0.3, 0.5, 0.8, 1],
      [null, 0.95, null, 0.6, null],
      [null, null, 0.82, null, null],
      [0.8, 0.8, 0.8, 0.8, 0.8],
    ]);
    expect(told(label)).toBe(
      "served at recall 0.500 and precision 0.820, logit offset 0.7, precision floor 0.80",
    );
  });

  it("does without either", () => {
    const plain: LabelCurve = {
      ...label,
      precision_floor: null,
      operating_point: { offset: 0, precision: null, recall: 0 },
    };
    expect(aligned(plain)[0]).toEqual([0.3, 0.8]);
    expect(told(plain)).toContain("as the network decides");
  });
});
