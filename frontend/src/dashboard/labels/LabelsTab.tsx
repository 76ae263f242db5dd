/** The labels of a project: what they are called, how they look, weigh and are to be painted. */
import { api } from "../../api/client";
import { covers } from "../../shell/session";
import type { TabProps } from "../Dashboard";
import { Apart } from "./Apart";
import { LabelForm } from "./LabelForm";
import { Pictures } from "./Pictures";
import "./labels.css";

/** One card for each label; managers change them. */
export function LabelsTab({ project, me, act }: TabProps) {
  const manages = covers(me, project.slug, "manager");
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
