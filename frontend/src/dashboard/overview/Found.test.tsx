import { render } from "preact";
import { afterEach, expect, test } from "vitest";
import type { Label, Schemas } from "../../api/client";
import { Found } from "./Found";

afterEach(() => render(null, document.body));

const labels = ["ER", "nucleus", "lipid droplet"].map((name, n) => ({ name, value: n + 1 }) as Label);
const round = (found: Schemas["RoundView"]["found"]) => ({ found }) as Schemas["RoundView"];
const counts = (chosen_tiles: number, chosen_missed: number, chance_tiles: number, chance_missed: number) => ({
  chosen_tiles,
  chosen_missed,
  chance_tiles,
  chance_missed,
});

function cells(): string[][] {
  const rows = [...document.body.querySelectorAll("tbody tr")];
  return rows.map((row) => [...row.children].map((cell) => cell.textContent ?? ""));
}

test("what rounds found is added up per label, and compared per tile", () => {
  const rounds = [
    round({ ER: counts(4, 1000, 1, 100), nucleus: counts(4, 8, 1, 0) }),
    round({ ER: counts(4, 600, 1, 60), nucleus: counts(4, 8, 1, 0) }),
  ];
  render(<Found labels={labels} rounds={rounds} />, document.body);
  expect(cells()).toEqual([
    ["ER", "200", "80", "2.5 ×"],
    ["nucleus", "2", "0", "–"],
  ]);
});

test("without tiles drawn by chance nothing is claimed", () => {
  render(<Found labels={labels} rounds={[round({ ER: counts(4, 1000, 0, 0) }), round({})]} />, document.body);
  expect(document.body.textContent).toBe("");
});
