/** Two versions side by side, organelle by organelle. */
import type { Model, Project, Schemas } from "../../api/client";
import { setQuery } from "../../shell/router";

/** Dice, precision and recall of both, and what changed. */
export function Compare({ project, one, other }: { project: Project; one: Model; other: Model }) {
  const split = one.quality.test && other.quality.test ? "test" : "validation";
  const figures = ["dice", "precision", "recall"] as const;
  const of = (model: Model, name: string): Schemas["Figures"] | undefined => model.quality[split]?.[name];
  return (
    <section class="card" aria-label={`Round ${other.ordinal} against round ${one.ordinal}`}>
      <p class="row">
        <strong>
          Round {other.ordinal} → {one.ordinal}, {split} tiles
        </strong>
        <span class="spring" />
        <button type="button" onClick={() => setQuery({ with: null })}>
          Close
        </button>
      </p>
      <table>
        <thead>
          <tr>
            <th>Organelle</th>
            {figures.map((figure) => (
              <th key={figure} class="number">
                {figure === "dice" ? "Dice" : figure}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {project.labels.map((label) => (
            <tr key={label.value}>
              <td>
                <i class="swatch" style={{ background: label.colour }} /> {label.name}
              </td>
              {figures.map((figure) => (
                <td key={figure} class="number">
                  <Step from={of(other, label.name)?.[figure]} to={of(one, label.name)?.[figure]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Step({ from, to }: { from: number | null | undefined; to: number | null | undefined }) {
  if (from == null || to == null) return <>{`${from?.toFixed(3) ?? "–"} → ${to?.toFixed(3) ?? "–"}`}</>;
  const gain = to - from;
  return (
    <>
      {from.toFixed(3)} → {to.toFixed(3)}{" "}
      <span class={gain < 0 ? "wrong" : "good"}>
        {gain < 0 ? "−" : "+"}
        {Math.abs(gain).toFixed(3)}
      </span>
    </>
  );
}
