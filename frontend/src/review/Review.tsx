/** Reviewing: one tile after the other, each accepted, mended or sent back. */
import { useEffect, useState } from "preact/hooks";
import { Annotator } from "../annotator/Annotator";
import { claim } from "../annotator/flow/lease";
import { fetchProject } from "../api/client";
import { watch } from "../shell/events";
import { useLoaded } from "../shell/load";
import { query, setQuery } from "../shell/router";
import type { Me } from "../shell/session";
import { Judge } from "./Judge";
import { useLease } from "./lease";
import "./review.css";

/** The room of a project's reviewers. */
export function Review({ slug, me }: { slug: string; me: Me }) {
  const [round, setRound] = useState(0);
  const claimed = useLoaded(async () => {
    const [project, { tasks, why, lease }] = await Promise.all([fetchProject(slug), claim(slug, "review")]);
    return { project, task: tasks.at(0), why, lease };
  }, [slug, round]);
  const found = claimed.value.value;
  const task = found?.task;
  useLease(task, found?.lease);
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
      <Annotator slug={slug} me={me} kind="review" done={() => setRound(round + 1)} />
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
