/** A training started by hand. */
import { useState } from "preact/hooks";
import { api, type Project, type Schemas } from "../../api/client";
import { complain, tell } from "../../shell/toasts";
import { Dialog } from "../../widgets/Dialog";

/** The button and its form; what is left empty comes from the project. */
export function StartTraining(props: { project: Project; started: () => Promise<void> }) {
  const [open, setOpen] = useState(false);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string) => (form.get(name) ? Number(form.get(name)) : null);
    try {
      await api.POST("/api/v1/projects/{project}/trainings", {
        params: { path: { project: props.project.slug } },
        body: {
          schedule: form.get("schedule") as Schemas["Schedule"],
          steps: number("steps"),
          minutes: number("minutes"),
        },
      });
      setOpen(false);
      tell("The training is queued.");
    } catch (problem) {
      complain(problem);
    }
    await props.started();
  }

  return (
    <>
      <button type="button" class="primary" onClick={() => setOpen(true)}>
        Train now
      </button>
      {open && (
        <Dialog title="Train now" close={() => setOpen(false)}>
          <form class="form" onSubmit={submit}>
            <label>
              Schedule
              <select name="schedule">
                <option value="auto">auto: quick where that will do</option>
                <option value="quick">quick: goes on from the live version</option>
                <option value="full">full: from scratch on all tiles</option>
              </select>
            </label>
            <label>
              At most so many steps
              <input name="steps" type="number" min={1} placeholder="as the project says" />
            </label>
            <label>
              At most so many minutes
              <input name="minutes" type="number" min={1} placeholder="no limit" />
            </label>
            <button type="submit" class="primary">
              Train
            </button>
          </form>
        </Dialog>
      )}
    </>
  );
}
