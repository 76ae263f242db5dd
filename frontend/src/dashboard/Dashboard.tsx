/** A project at a glance: tabs, each of them a room of its own. */
import { useEffect, useMemo } from "preact/hooks";
import { signal } from "@preact/signals";
import { fetchProject, type Project } from "../api/client";
import { type Change, useChanges, watch } from "../shell/events";
import { useLoaded } from "../shell/load";
import { covers, type Me } from "../shell/session";
import { complain, tell } from "../shell/toasts";
import { FailedTraining } from "./FailedTraining";
import { ImagesTab } from "./images/ImagesTab";
import { LabelsTab } from "./labels/LabelsTab";
import { ModelsTab } from "./models/ModelsTab";
import { OverviewTab } from "./overview/OverviewTab";
import { PeopleTab } from "./people/PeopleTab";
import { PoliciesTab } from "./policies/PoliciesTab";
import { QualityTab } from "./quality/QualityTab";
import { QueueTab } from "./queue/QueueTab";
import { TilesTab } from "./tiles/TilesTab";
import { TrainingTab } from "./training/TrainingTab";
import "./dashboard.css";

const TABS = [
  ["overview", "Overview", OverviewTab],
  ["images", "Images", ImagesTab],
  ["tiles", "Tiles", TilesTab],
  ["queue", "Queue", QueueTab],
  ["training", "Training", TrainingTab],
  ["models", "Models", ModelsTab],
  ["policies", "Retraining", PoliciesTab],
  ["labels", "Labels", LabelsTab],
  ["quality", "Quality", QualityTab],
  ["people", "People", PeopleTab],
] as const;

/** What every tab is given. */
export interface TabProps {
  readonly project: Project;
  readonly me: Me;
  /** The project's last change; null until there is one. */
  readonly change: Change | null;
  readonly act: Act;
}

/** Change the project, show it as it is then, and say so. */
export type Act = (work: () => Promise<unknown>, said: string) => Promise<void>;

/** The dashboard of a project. */
export function Dashboard({ slug, tab, me }: { slug: string; tab: string; me: Me }) {
  const change = useMemo(() => signal<Change | null>(null), [slug]);
  useEffect(() => {
    const heard = (event: Change) => (change.value = event);
    return watch(slug, heard, heard);
  }, [slug]);
  const loaded = useLoaded(
    () => fetchProject(slug),
    [slug],
  );
  useChanges(change.value, ["project"], loaded.again);
  const act: Act = async (work, said) => {
    try {
      await work();
      tell(said);
    } catch (problem) {
      complain(problem);
    }
    await loaded.again();
  };
  const project = loaded.value.value;
  // who is in the project is the managers' to know, how well people do the reviewers';
  // whoever is still to be measured on a tile does not see what others painted there
  const needs = { people: "manager", quality: "reviewer", tiles: "reviewer" } as const;
  const tabs = TABS.filter(([name]) => !(name in needs) || covers(me, slug, needs[name as keyof typeof needs]));
  const [, , Tab] = tabs.find(([name]) => name === tab) ?? tabs[0];
  return (
    <main id="main" class="page dashboard">
      {loaded.error.value && <p role="alert">{loaded.error.value.message}</p>}
      {project && (
        <>
          <h1>{project.name}</h1>
          <FailedTraining project={project} change={change.value} />
          <nav class="tabs" aria-label="Dashboard">
            {tabs.map(([name, title]) => (
              <a
                key={name}
                href={`/projects/${slug}/${name}`}
                aria-current={name === tab ? "page" : undefined}
              >
                {title}
              </a>
            ))}
          </nav>
          <Tab project={project} me={me} change={change.value} act={act} />
          {!covers(me, slug, "manager") && (
            <p class="quiet">What you may not change here is up to the project&apos;s managers.</p>
          )}
        </>
      )}
    </main>
  );
}
