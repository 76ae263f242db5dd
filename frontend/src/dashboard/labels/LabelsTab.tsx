/** The labels of a project: what they are called, how they look, weigh and are to be painted. */
import { api, fetchProject, type Project } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { complain, tell } from "../../shell/toasts";
import { covers } from "../../shell/session";
import type { TabProps } from "../Dashboard";
import { Apart } from "./Apart";
import { LabelForm } from "./LabelForm";
import { Pictures } from "./Pictures";
import "./labels.css";

/** Edits of a project name the version they are based on. */
export function revision(project: Project): { "if-match": string } {
  return { "if-match": `"${project.version}"` };
}

/** One card for each label; managers change them. */
export function LabelsTab({ project: given, me }: TabProps) {
  const manages = covers(me, given.slug, "manager");
  const loaded = useLoaded(() => fetchProject(given.slug), [given]);
  const project = loaded.value.value;
  if (!project) return <p class="quiet">Loading …</p>;
  const act = async (work: () => Promise<unknown>, said: string) => {
    try {
      await work();
      tell(said);
    } catch (problem) {
      complain(problem);
    }
    await loaded.again();
  };
  const path = { project: project.slug };
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const body = { name: String(new FormData(form).get("name")) };
    void act(async () => {
      await api.POST("/api/v1/projects/{project}/labels", { params: { path }, body });
      form.reset();
    }, "Added: tiles painted before say nothing of it.");
  };
  return (
    <>
      {project.labels.map((label) => (
        <section key={label.value} class="card label-card" aria-labelledby={`label-${label.value}`}>
          <h2 id={`label-${label.value}`}>
            <i class="swatch" style={{ background: label.colour }} /> {label.name}{" "}
            <span class="quiet">value {label.value}</span>
          </h2>
          {manages ? (
            <LabelForm project={project} label={label} act={act} />
          ) : (
            <p class="guideline">{label.guideline}</p>
          )}
          <Pictures project={project} label={label} manages={manages} act={act} />
        </section>
      ))}
      {manages && (
        <form class="row" onSubmit={add}>
          <label>
            Another label <input name="name" required maxLength={60} />
          </label>
          <button type="submit">Add it</button>
        </form>
      )}
      <Apart project={project} manages={manages} act={act} />
    </>
  );
}

/** Do something, show the labels as they are then, and say so. */
export type Act = (work: () => Promise<unknown>, said: string) => Promise<void>;
