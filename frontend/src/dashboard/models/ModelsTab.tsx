/** The model versions: which serves, how good each is, what it looks like. */
import { all, api, type Model } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { query, setQuery } from "../../shell/router";
import { covers } from "../../shell/session";
import { complain, tell } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import type { TabProps } from "../Dashboard";
import { Compare } from "./Compare";
import { Pictures } from "./Pictures";
import { PrecisionRecall } from "./PrecisionRecall";
import { Take } from "./Take";
import "./models.css";

/** The list of versions; one of them is looked at, two can be compared. */
export function ModelsTab({ project, me, change }: TabProps) {
  const manages = covers(me, project.slug, "manager");
  const models = useLoaded(
    () =>
      all((page) =>
        api.GET("/api/v1/projects/{project}/models", {
          params: { path: { project: project.slug }, query: page },
        }),
      ),
    [project.slug],
  );
  useChanges(change, ["model"], models.again);
  const versions = models.value.value;
  const live = versions?.find((model) => model.state === "live");
  const shown = versions?.find((model) => model.id === query.value.get("model")) ?? live ?? versions?.[0];
  const other = versions?.find((model) => model.id === query.value.get("with"));

  async function act(title: string, text: string, yes: string, work: () => Promise<unknown>) {
    if (!(await confirm(title, text, yes))) return;
    try {
      await work();
      tell("Done.");
    } catch (problem) {
      complain(problem);
    }
    await models.again();
  }
  const at = (model: Model) => ({ params: { path: { model: model.id } } });
  const promote = (model: Model) =>
    act(
      `Promote round ${model.ordinal}?`,
      "It makes the pre-labels from now on, and the order of tiles follows it once it has swept the images.",
      "Promote",
      () => api.POST("/api/v1/models/{model}/promote", at(model)),
    );
  const reject = (model: Model) =>
    act(`Reject round ${model.ordinal}?`, "It will not serve.", "Reject", () =>
      api.POST("/api/v1/models/{model}/reject", at(model)),
    );
  const rollBack = () =>
    act(
      "Roll back?",
      "The version that served before serves again, with its order of tiles.",
      "Roll back",
      () =>
        api.POST("/api/v1/projects/{project}/rollback", { params: { path: { project: project.slug } } }),
    );

  return (
    <>
      {models.error.value && <p role="alert">{models.error.value.message}</p>}
      {versions?.length === 0 && (
        <p class="quiet">No version yet: annotate a few tiles and train. The first one serves as soon as it is measured.</p>
      )}
      {versions && versions.length > 0 && (
        <table>
          <thead>
            <tr>
              <th class="number">Round</th>
              <th>State</th>
              <th>Learnt</th>
              <th class="number">Tiles</th>
              <th class="number">Mean test Dice</th>
              <th>Made</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {versions.map((model) => (
              <tr key={model.id}>
                <td class="number">{model.ordinal}</td>
                <td>
                  <span class={`state ${model.state === "live" ? "good" : ""}`}>{model.state}</span>
                  {model.tainted_at && <span class="warn"> learnt from withdrawn data</span>}
                </td>
                <td title={model.schedule_reason ?? ""}>
                  {model.segmenter} {model.schedule}
                </td>
                <td class="number">{model.tiles}</td>
                <td class="number">{model.quality.test?.["mean"]?.dice?.toFixed(3) ?? "–"}</td>
                <td>{new Date(model.created_at).toLocaleString()}</td>
                <td class="row">
                  <button type="button" aria-pressed={model === shown} onClick={() => setQuery({ model: model.id })}>
                    Look
                  </button>
                  {model !== shown && (
                    <button type="button" aria-pressed={model === other} onClick={() => setQuery({ with: model.id })}>
                      Compare
                    </button>
                  )}
                  {manages && ["candidate", "retired"].includes(model.state) && (
                    <button type="button" onClick={() => promote(model)}>
                      Promote
                    </button>
                  )}
                  {manages && model.state === "candidate" && (
                    <button type="button" onClick={() => reject(model)}>
                      Reject
                    </button>
                  )}
                  {manages && model.state === "live" && versions.some((each) => each.state === "retired") && (
                    <button type="button" onClick={rollBack}>
                      Roll back
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {shown && other && other !== shown && <Compare project={project} one={shown} other={other} />}
      {shown && (
        <section aria-labelledby="round">
          <h2 id="round">Round {shown.ordinal}</h2>
          {shown.warnings.map((warning) => (
            <p key={warning} class="banner">
              {warning}
            </p>
          ))}
          <Take model={shown} />
          <PrecisionRecall key={`curves ${shown.id}`} model={shown} />
          <Pictures key={shown.id} project={project} model={shown} me={me} change={change} />
        </section>
      )}
    </>
  );
}
