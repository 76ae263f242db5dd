/** Changing a label. */
import { api, basedOn, type Label, type Project } from "../../api/client";
import type { Act } from "../Dashboard";

/** Everything of a label but its value, which never changes. */
export function LabelForm({ project, label, act }: { project: Project; label: Label; act: Act }) {
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const floor = String(given.get("floor"));
    const body = {
      name: String(given.get("name")),
      colour: String(given.get("colour")),
      priority: Number(given.get("priority")),
      target_recall: Number(given.get("recall")),
      precision_floor: floor === "" ? null : Number(floor),
      guideline: String(given.get("guideline")),
    };
    const path = { project: project.slug, value: label.value };
    const params = { path, header: basedOn(project) };
    void act(() => api.PATCH("/api/v1/projects/{project}/labels/{value}", { params, body }), "Saved.");
  };
  return (
    <form class="form" onSubmit={save}>
      <p class="row">
        <label>
          Name <input name="name" required maxLength={60} defaultValue={label.name} />
        </label>
        <label>
          Colour <input name="colour" type="color" defaultValue={label.colour} />
        </label>
        <Figure name="priority" text="Priority" min={0.1} max={10} value={label.priority} required />
        <Figure name="recall" text="Target recall" min={0.01} max={1} value={label.target_recall} required />
        <Figure name="floor" text="Least precision" min={0.01} max={0.99} value={label.precision_floor} />
      </p>
      <label>
        Guideline
        <textarea name="guideline" rows={3} maxLength={4000} defaultValue={label.guideline} />
      </label>
      <button type="submit">Save {label.name}</button>
    </form>
  );
}

function Figure(props: {
  name: string;
  text: string;
  min: number;
  max: number;
  value: number | null;
  required?: boolean;
}) {
  return (
    <label>
      {props.text}{" "}
      <input
        name={props.name}
        type="number"
        min={props.min}
        max={props.max}
        step="any"
        required={props.required}
        placeholder={props.required ? undefined : "none"}
        defaultValue={props.value === null ? "" : String(props.value)}
      />
    </label>
  );
}
