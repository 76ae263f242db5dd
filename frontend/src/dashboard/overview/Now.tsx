/** What is going on now: the version that serves, the work that waits, the training that runs. */
import { api, body } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import type { TabProps } from "../Dashboard";
import { NextTraining } from "../queue/NextTraining";

/** The line of figures on top of the dashboard. */
export function Now({ project, change }: TabProps) {
  const path = { project: project.slug };
  const state = useLoaded(
    async () => {
      const [queue, metrics] = await Promise.all([
        body(api.GET("/api/v1/projects/{project}/queue", { params: { path } })),
        body(api.GET("/api/v1/projects/{project}/metrics", { params: { path } })),
      ]);
      return { queue, live: metrics.rounds.find((round) => round.round === metrics.live_round) };
    },
    [project.slug],
  );
  useChanges(change, ["task", "query", "model", "job"], state.again);
  if (state.error.value) return <p role="alert">{state.error.value.message}</p>;
  const found = state.value.value;
  if (!found) return <p class="quiet">Loading …</p>;
  const { queue, live } = found;
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
