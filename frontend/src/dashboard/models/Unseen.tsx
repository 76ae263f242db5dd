/** A whole image as a version sees it, with the share of pixels of every organelle. */
import { useState } from "preact/hooks";
import { all, api, type Model } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { covers } from "../../shell/session";
import { complain, tell } from "../../shell/toasts";
import type { TabProps } from "../Dashboard";
import { predictionOf } from "./predictionOf";

/** Prediction on an image of one's choice; asks for it if it was never made. */
export function Unseen({ project, model, me, change }: Omit<TabProps, "act"> & { model: Model }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const images = useLoaded(
    () =>
      all((page) =>
        api.GET("/api/v1/projects/{project}/images", {
          params: { path: { project: project.slug }, query: page },
        }),
      ),
    [project.slug],
  );
  const ready = images.value.value?.filter((image) => image.state === "ready");
  const image = ready?.find((one) => one.id === chosen) ?? ready?.find((one) => one.split === "none") ?? ready?.[0];
  const predicted = useLoaded(
    async () => (image ? predictionOf(model, image.id) : null),
    [image?.id, model.id],
  );
  useChanges(change, ["job"], predicted.again);
  const prediction = predicted.value.value;

  async function ask() {
    if (!image) return;
    try {
      await api.POST("/api/v1/models/{model}/predictions", {
        params: { path: { model: model.id } },
        body: { image_ids: [image.id] },
      });
      tell("The prediction is queued; it appears here by itself.");
    } catch (problem) {
      complain(problem);
    }
  }

  if (!ready || ready.length === 0) return null;
  return (
    <section aria-labelledby="unseen">
      <h3 id="unseen">A whole image</h3>
      <p class="row">
        <label>
          Image{" "}
          <select value={image?.id ?? ""} onChange={(event) => setChosen(event.currentTarget.value)}>
            {ready.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name} ({one.split === "none" ? "unseen" : one.split})
              </option>
            ))}
          </select>
        </label>
        {prediction === null && covers(me, project.slug, "reviewer") && (
          <button type="button" onClick={ask}>
            Predict it
          </button>
        )}
      </p>
      {prediction === null && (
        <p class="quiet">Round {model.ordinal} has not swept this image.</p>
      )}
      {prediction && (
        <div class="panes">
          <img
            class="overlay"
            src={`/api/v1/predictions/${prediction.id}/overlay`}
            alt={`${image?.name ?? "The image"} with the labels round ${model.ordinal} gives it`}
          />
          <table>
            <thead>
              <tr>
                <th>Organelle</th>
                <th class="number">Share of pixels</th>
              </tr>
            </thead>
            <tbody>
              {prediction.labels.map((share) => (
                <tr key={share.value}>
                  <td>
                    <i
                      class="swatch"
                      style={{ background: project.labels.find((label) => label.value === share.value)?.colour ?? "none" }}
                    />{" "}
                    {share.name}
                  </td>
                  <td class="number">{(100 * share.share).toFixed(1)} %</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
