/** How many tiles are painted twice, and how many of a person's tiles are gold. */
import { editProject, type Project } from "../../api/client";
import { complain, tell } from "../../shell/toasts";

/** The two shares as per cent; for managers. */
export function Shares({ project }: { project: Project }) {
  async function save(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const share = (name: string) => Number(given.get(name)) / 100;
    try {
      await editProject(project.slug, {
        second_share: share("second"),
        gold_share: share("gold"),
        gold_feedback: given.get("feedback") === "on",
      });
      tell("Saved: it holds for tiles from now on.");
    } catch (problem) {
      complain(problem);
    }
  }

  return (
    <form class="row" onSubmit={save}>
      <Percent name="second" text="Second opinions on % of tiles" share={project.second_share} />
      <Percent name="gold" text="Gold, % of a person's tiles" share={project.gold_share} />
      <label class="check">
        <input name="feedback" type="checkbox" defaultChecked={project.gold_feedback} /> People learn how they did
      </label>
      <button type="submit">Save shares</button>
    </form>
  );
}

function Percent(props: { name: string; text: string; share: number }) {
  return (
    <label>
      {props.text}{" "}
      <input
        name={props.name}
        type="number"
        min={0}
        max={100}
        step="any"
        required
        defaultValue={String(Math.round(props.share * 1000) / 10)}
      />
    </label>
  );
}
