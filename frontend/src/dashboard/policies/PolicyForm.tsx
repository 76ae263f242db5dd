/** What a policy says, as a form. */
import { useState } from "preact/hooks";
import { api, basedOn, Problem, type Project, type Schemas } from "../../api/client";

type Policy = Schemas["PolicyView"];

/** Makes a policy, or changes one. */
export function PolicyForm(props: { project: Project; policy: Policy | null; done: () => void }) {
  const { project, policy } = props;
  const [error, setError] = useState<Problem | null>(null);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim() || null;
    const count = text("every_annotations");
    const said = {
      name: text("name") ?? "",
      enabled: policy?.enabled ?? true,
      every_annotations: count === null ? null : Number(count),
      cron: text("cron"),
      minimum_minutes: Number(text("minimum_minutes") ?? 0),
      schedule: form.get("schedule") as Schemas["Schedule"],
      quiet_from: text("quiet_from"),
      quiet_until: text("quiet_until"),
    };
    try {
      if (policy === null) {
        await api.POST("/api/v1/projects/{project}/policies", {
          params: { path: { project: project.slug } },
          body: said,
        });
      } else {
        await api.PATCH("/api/v1/projects/{project}/policies/{policy}", {
          params: {
            path: { project: project.slug, policy: policy.id },
            header: basedOn(policy),
          },
          body: said,
        });
      }
      props.done();
    } catch (problem) {
      setError(problem as Problem);
    }
  }

  return (
    <form class="form" onSubmit={submit}>
      <label>
        Name
        <input name="name" required maxLength={100} defaultValue={policy?.name ?? "nightly"} />
      </label>
      <label>
        After so many newly accepted tiles
        <input name="every_annotations" type="number" min={1} defaultValue={policy?.every_annotations ?? ""} />
      </label>
      <label>
        At times, as cron: minute hour day month weekday ({project.time_zone})
        <input name="cron" placeholder="0 2 * * *" defaultValue={policy?.cron ?? ""} />
      </label>
      <label>
        At least so many minutes between two trainings
        <input name="minimum_minutes" type="number" min={0} defaultValue={policy?.minimum_minutes ?? 60} />
      </label>
      <label>
        Schedule
        <select name="schedule">
          {(["auto", "quick", "full"] as const).map((name) => (
            <option key={name} value={name} selected={name === (policy?.schedule ?? "auto")}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <div class="row">
        <label>
          Quiet from <input name="quiet_from" type="time" defaultValue={policy?.quiet_from?.slice(0, 5) ?? ""} />
        </label>
        <label>
          until <input name="quiet_until" type="time" defaultValue={policy?.quiet_until?.slice(0, 5) ?? ""} />
        </label>
      </div>
      {error && (
        <div role="alert" class="wrong">
          {error.fields.length === 0 && error.message}
          {error.fields.map((field) => (
            <p key={field.pointer}>
              {field.pointer.split("/").at(-1)}: {field.detail}
            </p>
          ))}
        </div>
      )}
      <button type="submit" class="primary">
        Save
      </button>
    </form>
  );
}
