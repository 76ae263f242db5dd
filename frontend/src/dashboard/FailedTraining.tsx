/** A training that failed while nobody looked greets people, until one succeeds. */
import { api, body } from "../api/client";
import { type Change, useChanges } from "../shell/events";
import { useLoaded } from "../shell/load";
import type { Project } from "../api/client";

/** The banner; nothing when the newest finished training was well. */
export function FailedTraining({ project, change }: { project: Project; change: Change | null }) {
  const jobs = useLoaded(
    () =>
      body(
        api.GET("/api/v1/projects/{project}/jobs", {
          params: { path: { project: project.slug }, query: { kind: "train", limit: 20 } },
        }),
      ),
    [project.slug],
  );
  useChanges(change, ["job"], jobs.again);
  const ended = jobs.value.value?.items.find((job) =>
    ["succeeded", "failed", "quarantined"].includes(job.state),
  );
  if (!ended || ended.state === "succeeded") return null;
  return (
    <p class="banner wrong" role="alert">
      The training of {new Date(ended.finished_at ?? ended.created_at).toLocaleString()} failed:{" "}
      {ended.error ?? "no reason was given."}{" "}
      <a href={`/projects/${project.slug}/training?job=${ended.id}`}>See its log</a>
    </p>
  );
}
