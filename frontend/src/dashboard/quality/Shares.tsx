/** How many tiles are painted twice, and how many of a person's tiles are gold. */
import { editProject, type Project } from "../../api/client";
import type { Act } from "../Dashboard";

/** The two shares as per cent; for managers. */
export function Shares({ project, act }: { project: Project; act: Act }) {
  function save(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const share = (name: string) => Number(given.get(name)) / 100;
    const changes = {
      second_share: share("second"),
      gold_share: share("gold"),
      gold_feedback: given.get("feedback") === "on",
    };
    void act(() => editProject(project, changes), "Saved: it holds for tiles from now on.");
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
