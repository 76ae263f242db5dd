/** Metrics x organelles as a heat map that is also a table. */
import type { Label, Schemas } from "../../api/client";

const FIGURES = [
  ["dice", "Dice"],
  ["iou", "IoU"],
  ["precision", "precision"],
  ["recall", "recall"],
  ["ap", "average precision"],
] as const;

/** Every figure of every label; blue is good, and the number stands in each cell. */
export function HeatMap(props: { labels: readonly Label[]; quality: Record<string, Schemas["Figures"]> }) {
  return (
    <figure class="card">
      <figcaption>Metrics by organelle</figcaption>
      <table class="heat">
        <thead>
          <tr>
            <th />
            {FIGURES.map(([name, text]) => (
              <th key={name}>{text}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.labels.map((label) => (
            <tr key={label.value}>
              <th>{label.name}</th>
              {FIGURES.map(([name]) => {
                const value = props.quality[label.name]?.[name] ?? null;
                return (
                  <td key={name} style={value === null ? {} : ground(value)}>
                    {value === null ? "–" : value.toFixed(2)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

/** Dark to light blue, with ink that can be read on it. */
function ground(value: number): { background: string; color: string } {
  const lightness = 15 + 65 * value;
  return { background: `hsl(205 70% ${lightness}%)`, color: lightness > 48 ? "#06121b" : "#ffffff" };
}
