/** Labels that never touch each other in a cell. */
import { editProject, type Project } from "../../api/client";
import type { Act } from "../Dashboard";

/** The pairs; people are warned where they painted such labels side by side. */
export function Apart({ project, manages, act }: { project: Project; manages: boolean; act: Act }) {
  const pairs = project.never_touch;
  const nameOf = (value: number) =>
    project.labels.find((label) => label.value === value)?.name ?? `value ${value}`;
  const save = (next: number[][]) => act(() => editProject(project, { never_touch: next }), "Saved.");
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    void save([...pairs, [Number(given.get("one")), Number(given.get("other"))]]);
  };
  const Pick = ({ name, text, at }: { name: string; text: string; at: number }) => (
    <select name={name} aria-label={text}>
      {project.labels.map((label, index) => (
        <option key={label.value} value={label.value} selected={index === at}>
          {label.name}
        </option>
      ))}
    </select>
  );
  return (
    <section aria-labelledby="apart">
      <h2 id="apart">Labels that never touch</h2>
      <p class="quiet">Before a tile is sent the page points at places where they do.</p>
      <ul>
        {pairs.map((pair) => (
          <li key={pair.join()}>
            {pair.map(nameOf).join(" and ")}{" "}
            {manages && (
              <button
                type="button"
                class="small"
                aria-label={`Let ${pair.map(nameOf).join(" and ")} touch`}
                onClick={() => void save(pairs.filter((other) => other !== pair))}
              >
                Remove
              </button>
            )}
          </li>
        ))}
      </ul>
      {manages && project.labels.length > 1 && (
        <form class="row" onSubmit={add}>
          <Pick name="one" text="One label" at={0} /> and <Pick name="other" text="The other label" at={1} />
          <button type="submit">Add pair</button>
        </form>
      )}
    </section>
  );
}
