/** How well the network knows each organelle, and what that cost. */
import { useMemo, useState } from "preact/hooks";
import { api, body, type Label, type Schemas } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { chartInk } from "../../shell/theme";
import { Chart } from "../../widgets/Chart";
import { Choice } from "../../widgets/Choice";
import type { TabProps } from "../Dashboard";
import { Advice } from "./Advice";
import { Found } from "./Found";
import { aligned, type Axis, type Figure, options } from "./curve";
import { Now } from "./Now";

type Round = Schemas["RoundView"];

/** The learning curve with its table, and what is going on. */
export function OverviewTab({ project, change }: TabProps) {
  const [split, setSplit] = useState<"validation" | "test">("test");
  const [axis, setAxis] = useState<Axis>("tiles");
  const [figure, setFigure] = useState<Figure>("dice");
  const metrics = useLoaded(
    () => body(api.GET("/api/v1/projects/{project}/metrics", { params: { path: { project: project.slug } } })),
    [project.slug],
  );
  useChanges(change, ["model"], metrics.again);
  const choice = { split, axis, figure };
  const rounds = metrics.value.value?.rounds;
  const ink = chartInk.value;
  const drawn = useMemo(() => options(project.labels, choice, ink), [project, split, axis, figure, ink]);
  const data = useMemo(
    () => aligned(rounds ?? [], project.labels, choice),
    [rounds, project, split, axis, figure],
  );
  const measured = rounds?.some((round) => round.quality[split]);
  return (
    <>
      <Now project={project} change={change} metrics={metrics.value.value} />
      <section aria-labelledby="curve">
        <h2 id="curve">Learning curve</h2>
        <p class="row">
          <Choice
            label="Tiles"
            options={[
              ["test", "test"],
              ["validation", "validation"],
            ]}
            value={split}
            change={setSplit}
          />
          <Choice
            label="Against"
            options={[
              ["tiles", "tiles"],
              ["hours", "hours of work"],
            ]}
            value={axis}
            change={setAxis}
          />
          <Choice
            label="Figure"
            options={[
              ["dice", "Dice"],
              ["recall", "recall"],
            ]}
            value={figure}
            change={setFigure}
          />
        </p>
        {metrics.error.value && <p role="alert">{metrics.error.value.message}</p>}
        {rounds && !measured && (
          <p class="quiet">
            Nothing is measured on {split} tiles yet. Give images the split “{split}”, annotate some of their tiles
            and train.
          </p>
        )}
        {measured && (
          <>
            <Chart label={`${figure} of each organelle on ${split} tiles against ${axis}`} options={drawn} data={data} />
            <ul class="swatches">
              {project.labels.map((label) => (
                <li key={label.value}>
                  <i style={{ background: label.colour }} /> {label.name}
                </li>
              ))}
            </ul>
            <p class="quiet">
              Bands are 95 % intervals over the tiles that were measured; training the same tiles again varies beyond
              that.
            </p>
            <Rounds rounds={rounds ?? []} labels={project.labels} choice={choice} />
          </>
        )}
        {metrics.value.value && <Advice labels={project.labels} advice={metrics.value.value.advice} />}
        {rounds && <Found labels={project.labels} rounds={rounds} />}
      </section>
    </>
  );
}

function Rounds(props: {
  rounds: readonly Round[];
  labels: readonly Label[];
  choice: { split: "validation" | "test"; figure: Figure };
}) {
  const { split, figure } = props.choice;
  return (
    <table>
      <caption class="unseen">The same figures as a table</caption>
      <thead>
        <tr>
          <th class="number">Round</th>
          <th>State</th>
          <th class="number">Tiles</th>
          <th class="number">Hours</th>
          {props.labels.map((label) => (
            <th key={label.value} class="number">
              {label.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {props.rounds.toReversed().map((round) => (
          <tr key={round.model_version_id}>
            <td class="number">{round.round}</td>
            <td>{round.state}</td>
            <td class="number">{round.tiles}</td>
            <td class="number">
              {round.active_seconds === null ? "–" : (round.active_seconds / 3600).toFixed(2)}
            </td>
            {props.labels.map((label) => (
              <td key={label.value} class="number">
                {cell(round.quality[split]?.[label.name], figure)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function cell(figures: Schemas["Figures"] | undefined, figure: Figure): string {
  const value = figures?.[figure];
  if (figures === undefined || value === null || value === undefined) return "–";
  const [low, high] = [figures[`${figure}_low`], figures[`${figure}_high`]];
  const interval = low == null || high == null ? "" : ` (${low.toFixed(2)}–${high.toFixed(2)})`;
  return value.toFixed(3) + interval;
}
