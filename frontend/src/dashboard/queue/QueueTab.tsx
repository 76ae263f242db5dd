/** What is asked of people: how much waits, who holds what, and why these tiles. */
import { api, body, type Schemas } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { covers } from "../../shell/session";
import type { TabProps } from "../Dashboard";
import { Choosing } from "./Choosing";
import { Histogram } from "./Histogram";
import { NextTraining } from "./NextTraining";
import { WhyThese } from "./WhyThese";

/** The queue of a project. */
export function QueueTab({ project, me, change, act }: TabProps) {
  const queue = useLoaded(
    () => body(api.GET("/api/v1/projects/{project}/queue", { params: { path: { project: project.slug } } })),
    [project.slug],
  );
  useChanges(change, ["task", "query", "job"], queue.again);
  const found = queue.value.value;
  if (queue.error.value) return <p role="alert">{queue.error.value.message}</p>;
  if (!found) return <p class="quiet">Loading …</p>;
  const figures = [
    ["open", found.open],
    ["in people's hands", found.claimed],
    ["waiting for review", found.submitted],
    ["sent back", found.returned],
    ["skipped", found.skipped],
  ] as const;
  return (
    <>
      {found.why_empty && <p class="banner">{found.why_empty}</p>}
      <dl class="figures">
        {figures.map(([name, count]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{count}</dd>
          </div>
        ))}
      </dl>
      <NextTraining queue={found} slug={project.slug} />
      {found.leases && found.leases.length > 0 && <Leases leases={found.leases} />}
      {found.pace && found.pace.length > 0 && <Pace pace={found.pace} />}
      {found.skip_reasons.length > 0 && (
        <section>
          <h2>Why tiles were skipped</h2>
          <ul>
            {found.skip_reasons.map((skip) => (
              <li key={skip.reason}>
                {skip.tiles} × {skip.reason}
              </li>
            ))}
          </ul>
        </section>
      )}
      {found.histograms && found.histograms.length > 0 && (
        <section>
          <h2>Scores</h2>
          <p class="quiet">Height is the square root of the count; blue is from the least chosen score on.</p>
          <div class="panes">
            {found.histograms.map((histogram) => (
              <Histogram key={histogram.criterion} histogram={histogram} />
            ))}
          </div>
        </section>
      )}
      {found.query_id && <WhyThese key={found.query_id} query={found.query_id} />}
      {covers(me, project.slug, "manager") && <Choosing project={project} act={act} />}
    </>
  );
}

function Leases({ leases }: { leases: readonly Schemas["LeaseView"][] }) {
  return (
    <section>
      <h2>In people&apos;s hands</h2>
      <table>
        <thead>
          <tr>
            <th>Who</th>
            <th>What</th>
            <th class="number">Tile</th>
            <th>Until</th>
          </tr>
        </thead>
        <tbody>
          {leases.map((lease) => (
            <tr key={lease.task_id}>
              <td>{lease.assignee}</td>
              <td>{lease.kind}</td>
              <td class="number">{lease.position}</td>
              <td>{new Date(lease.lease_until).toLocaleTimeString()}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Pace({ pace }: { pace: readonly Schemas["PaceView"][] }) {
  return (
    <section>
      <h2>The last seven days</h2>
      <table>
        <thead>
          <tr>
            <th>Who</th>
            <th class="number">Tiles</th>
            <th class="number">Median minutes a tile</th>
          </tr>
        </thead>
        <tbody>
          {pace.map((person) => (
            <tr key={person.user_id}>
              <td>{person.name}</td>
              <td class="number">{person.tiles}</td>
              <td class="number">
                {person.median_active_seconds === null ? "–" : (person.median_active_seconds / 60).toFixed(1)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
