/** What is going on now: the version that serves, the work that waits, the training that runs. */
import { api, body, type Schemas } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import type { TabProps } from "../Dashboard";
import { NextTraining } from "../queue/NextTraining";

/** The line of figures on top of the dashboard; `metrics` are undefined until they are there. */
export function Now(props: Pick<TabProps, "project" | "change"> & { metrics: Schemas["MetricsView"] | undefined }) {
  const { project, change, metrics } = props;
  const loaded = useLoaded(
    () => body(api.GET("/api/v1/projects/{project}/queue", { params: { path: { project: project.slug } } })),
    [project.slug],
  );
  useChanges(change, ["task", "query", "model", "job"], loaded.again);
  if (loaded.error.value) return <p role="alert">{loaded.error.value.message}</p>;
  const queue = loaded.value.value;
  if (!queue || !metrics) return <p class="quiet">Loading …</p>;
  const live = metrics.rounds.find((round) => round.round === metrics.live_round);
  // the label that matters most to the owner comes first
  const first = project.labels.toSorted((a, b) => b.priority - a.priority)[0];
  const measured = live?.quality.test ?? live?.quality.validation;
  const figures = [
    ["round that serves", live ? String(live.round) : "none yet"],
    ["annotated tiles", live ? String(live.tiles) : "0"],
    ["hours of annotation", live?.active_seconds == null ? "–" : (live.active_seconds / 3600).toFixed(1)],
    ...(first ? [[`recall of ${first.name}`, measured?.[first.name]?.recall?.toFixed(3) ?? "–"]] : []),
    ["tiles that wait", String(queue.open)],
    ["to review", String(queue.submitted)],
  ];
  return (
    <section aria-label="Now">
      <dl class="figures">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {queue.why_empty && <p class="banner">{queue.why_empty}</p>}
      <NextTraining queue={queue} slug={project.slug} />
    </section>
  );
}
