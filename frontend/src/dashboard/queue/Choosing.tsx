/** By which rule tiles are chosen, and the numbers that rule is given. */
import { api, body, editProject, type Project } from "../../api/client";
import { useLoaded } from "../../shell/load";
import type { Act } from "../Dashboard";

/** The strategy and its parameters; for managers. */
export function Choosing({ project, act }: { project: Project; act: Act }) {
  const loaded = useLoaded(() => body(api.GET("/api/v1/strategies")), []);

  function save(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const strategy = String(given.get("strategy"));
    given.delete("strategy");
    const set = [...given].filter(([, number]) => number !== "");
    const strategy_parameters = Object.fromEntries(set.map(([name, number]) => [name, Number(number)]));
    void act(() => editProject(project, { strategy, strategy_parameters }), "Saved: it holds from the next order on.");
  }

  const known = loaded.value.value;
  if (loaded.error.value) return <p role="alert">{loaded.error.value.message}</p>;
  if (!known) return null;
  return (
    <section aria-labelledby="choosing">
      <h2 id="choosing">How tiles are chosen</h2>
      <form onSubmit={save}>
        <p class="row">
          <select name="strategy" aria-labelledby="choosing">
            {known.strategies.map(({ name, description }) => (
              <option key={name} value={name} selected={name === project.strategy}>
                {name}: {description}
              </option>
            ))}
          </select>
          <button type="submit">Save</button>
        </p>
        <details>
          <summary>Parameters</summary>
          <p class="quiet">An empty field stands for what is usual. A strategy that has no use for a number ignores it.</p>
          {known.parameters.map(({ name, description, low, high, default: usual }) => (
            <p key={name}>
              <label>
                <input
                  name={name}
                  type="number"
                  min={low}
                  max={high}
                  step="any"
                  placeholder={usual === null ? "" : String(usual)}
                  defaultValue={String(project.strategy_parameters[name] ?? "")}
                />{" "}
                <b>{name}</b>: {description} ({low} to {high})
              </label>
            </p>
          ))}
        </details>
      </form>
    </section>
  );
}
