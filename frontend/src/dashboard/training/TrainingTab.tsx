/** Background work: what runs, how far it is, and what went wrong. */
import { useState } from "preact/hooks";
import { api, body, type Job } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { query, setQuery } from "../../shell/router";
import { covers } from "../../shell/session";
import { complain, tell } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import type { TabProps } from "../Dashboard";
import { JobDetail } from "./JobDetail";
import { StartTraining } from "./StartTraining";

const KINDS = ["train", "evaluate", "predict", "score", "ingest", "export", "package"] as const;

/** All jobs of a project, the chosen one in detail. */
export function TrainingTab({ project, me, change }: TabProps) {
  const [kind, setKind] = useState<(typeof KINDS)[number]>("train");
  const manages = covers(me, project.slug, "manager");
  const jobs = useLoaded(
    () =>
      body(
        api.GET("/api/v1/projects/{project}/jobs", {
          params: { path: { project: project.slug }, query: { kind, limit: 50 } },
        }),
      ),
    [project.slug, kind],
  );
  useChanges(change, ["job", "progress"], jobs.again);
  const items = jobs.value.value?.items;
  const chosen = query.value.get("job") ?? items?.find((job) => job.state === "running")?.id ?? items?.[0]?.id;

  async function cancel(job: Job) {
    const text = "What it has done so far is not used. The tiles and their labels stay.";
    if (!(await confirm(`Cancel this ${job.kind} job?`, text, "Cancel the job"))) return;
    try {
      await api.POST("/api/v1/jobs/{job}/cancel", { params: { path: { job: job.id } } });
      tell("It is asked to stop.");
    } catch (problem) {
      complain(problem);
    }
    await jobs.again();
  }

  return (
    <>
      <p class="row">
        <label>
          Show{" "}
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value as typeof kind)}>
            {KINDS.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>{" "}
          jobs
        </label>
        <span class="spring" />
        {manages && <StartTraining project={project} started={jobs.again} />}
      </p>
      {jobs.error.value && <p role="alert">{jobs.error.value.message}</p>}
      {items?.length === 0 && <p class="quiet">There is no {kind} job yet.</p>}
      {chosen && <JobDetail key={chosen} id={chosen} project={project} change={change} cancel={cancel} may={manages} />}
      {items && items.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Began</th>
              <th>State</th>
              <th>How far</th>
              <th>Says</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {items.map((job) => (
              <tr key={job.id} aria-selected={job.id === chosen}>
                <td>{new Date(job.started_at ?? job.created_at).toLocaleString()}</td>
                <td>
                  <span class="state">{job.state}</span>
                </td>
                <td>{job.fraction === null ? "–" : `${Math.round(100 * job.fraction)} %`}</td>
                <td>{job.error ?? job.message ?? ""}</td>
                <td>
                  <button type="button" onClick={() => setQuery({ job: job.id })}>
                    Show
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
