import { expect, it } from "vitest";
import type { Label } from "../../api/client";
import { options } from "./curve";

it("goes on over versions that were not measured", () => {
  const label = { value: 4, name: "ER", colour: "#228833" } as Label;
  const { series } = options([label], { split: "test", axis: "tiles", figure: "dice" }, "#fff");
  expect(series.slice(1).map((line) => line.spanGaps)).toEqual([true, true, true]);
});
