/** Example pictures of a label: looking at them, adding and removing. */
import { Examples } from "../../annotator/panels/Examples";
import { api, bytes, type Label, type Project } from "../../api/client";
import { confirm } from "../../widgets/confirm";
import type { Act } from "../Dashboard";

/** The pictures, and for managers a form for another one. */
export function Pictures(props: { project: Project; label: Label; manages: boolean; act: Act }) {
  const { project, label, manages, act } = props;
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const about = new URLSearchParams({
      caption: String(given.get("caption")),
      good: String(given.get("good") === "yes"),
    });
    void act(async () => {
      await bytes(`/api/v1/projects/${project.slug}/labels/${label.value}/examples?${about}`, {
        method: "POST",
        body: given.get("picture") as File,
      });
      form.reset();
    }, "Added.");
  };
  const remove = async (example: string) => {
    if (!(await confirm("Remove the picture?", "People who paint no longer see it.", "Remove"))) return;
    const params = { path: { example } };
    await act(() => api.DELETE("/api/v1/examples/{example}", { params }), "Removed.");
  };
  return (
    <>
      <Examples
        label={label}
        beside={({ id, caption }) =>
          manages && (
            <button
              type="button"
              class="small"
              aria-label={`Remove the picture ${caption}`}
              onClick={() => void remove(id)}
            >
              Remove
            </button>
          )
        }
      />
      {manages && (
        <form class="row" onSubmit={add}>
          <label>
            Picture of {label.name} <input name="picture" type="file" accept="image/png,image/jpeg" required />
          </label>
          <label>
            Caption <input name="caption" maxLength={300} />
          </label>
          <select name="good" aria-label="What it shows">
            <option value="yes">how it is painted</option>
            <option value="no">how it is not painted</option>
          </select>
          <button type="submit">Add picture</button>
        </form>
      )}
    </>
  );
}
