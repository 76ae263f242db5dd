/** Reviewing: one tile after the other, each accepted, mended or sent back. */
import { useEffect, useState } from "preact/hooks";
import { lazy, Suspense } from "preact/compat";
import { api, body, type Task } from "../api/client";
import { watch } from "../shell/events";
import { useLoaded } from "../shell/load";
import { query, setQuery } from "../shell/router";
import type { Me } from "../shell/session";
import { complain } from "../shell/toasts";
import { Judge } from "./Judge";
import "./review.css";

const Annotator = lazy(async () => (await import("../annotator/Annotator")).Annotator);
const RENEW_MS = 60_000;

/** The room of a project's reviewers. */
export function Review({ slug, me }: { slug: string; me: Me }) {
  const [round, setRound] = useState(0);
  const claimed = useLoaded(async () => {
    const [project, claim] = await Promise.all([
      body(api.GET("/api/v1/projects/{project}", { params: { path: { project: slug } } })),
      body(
        api.POST("/api/v1/projects/{project}/claims", {
          params: { path: { project: slug } },
          body: { kind: "review", count: 1 },
        }),
      ),
    ]);
    return { project, task: claim.tasks.at(0), why: claim.why_fewer };
  }, [slug, round]);
  const found = claimed.value.value;
  const task = found?.task;
  useRenewal(task);
  useEffect(() => {
    if (!found || task) return;
    // an empty queue fills when somebody submits
    return watch(slug, (change) => {
      if (change.kind === "missed" || change.kind === "task") void claimed.again();
    });
  }, [found, task]);

  // mending is annotating: the same room, on the task under review
  if (query.value.has("mend")) {
    return (
      <Suspense fallback={<p class="quiet">Loading …</p>}>
        <Annotator slug={slug} me={me} kind="review" done={() => setRound(round + 1)} />
      </Suspense>
    );
  }
  if (claimed.error.value) {
    return (
      <main id="main" class="page">
        <p role="alert">{claimed.error.value.message}</p>
      </main>
    );
  }
  if (!found) return <main id="main" class="page quiet">Loading …</main>;
  if (!task) {
    return (
      <main id="main" class="page">
        <h1>Nothing to review</h1>
        <p>{found.why}</p>
        {!found.project.review && (
          <p class="quiet">Review is off in this project: what people submit is accepted at once.</p>
        )}
      </main>
    );
  }
  return (
    <Judge
      key={task.id}
      project={found.project}
      task={task}
      mend={() => setQuery({ mend: "" })}
      next={() => setRound(round + 1)}
    />
  );
}

function useRenewal(task: Task | undefined): void {
  useEffect(() => {
    if (!task) return;
    const timer = setInterval(() => {
      if (document.visibilityState === "hidden") return;
      api.POST("/api/v1/tasks/{task}/renew", { params: { path: { task: task.id } } }).catch(complain);
    }, RENEW_MS);
    return () => clearInterval(timer);
  }, [task?.id]);
}
