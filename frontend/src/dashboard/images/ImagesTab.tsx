/** The project's images: what there is, what is said of it, and the way in. */
import { useEffect } from "preact/hooks";
import { all, api, type Image } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { query, setQuery } from "../../shell/router";
import { covers } from "../../shell/session";
import type { TabProps } from "../Dashboard";
import { Filter } from "../Filter";
import { ImageRow } from "./ImageRow";
import { Staging } from "./Staging";
import { Transfers } from "./Transfers";
import { transfers } from "./sending";
import { SPLITS, STATES } from "./words";
import "./images.css";

/** The images of a project. */
export function ImagesTab({ project, me, change }: TabProps) {
  const manages = covers(me, project.slug, "manager");
  const state = query.value.get("state") as Image["state"] | null;
  const split = query.value.get("split") as Image["split"] | null;
  const arrived = transfers.value.filter((one) => one.state === "done").length;
  const images = useLoaded(
    () =>
      all((page) =>
        api.GET("/api/v1/projects/{project}/images", {
          params: {
            path: { project: project.slug },
            query: { limit: 500, ...(state && { state }), ...(split && { split }), ...page },
          },
        }),
      ),
    [project.slug, state, split],
  );
  // not keys of the list: what somebody is typing in it has to stay
  useChanges(change, ["image"], images.again);
  useEffect(() => {
    if (images.value.peek()) void images.again();
  }, [arrived]);
  const found = images.value.value;
  return (
    <section aria-label="Images">
      {manages && (
        <>
          <Staging slug={project.slug} />
          <Transfers slug={project.slug} />
        </>
      )}
      <p class="row">
        <Filter
          name="state"
          value={state}
          options={Object.entries(STATES)}
          change={(value) => setQuery({ state: value })}
        />
        <Filter
          name="split"
          value={split}
          options={SPLITS.map(([name]) => [name, name])}
          change={(value) => setQuery({ split: value })}
        />
        {found && <span class="quiet">{counted(found)}</span>}
      </p>
      {images.error.value && <p role="alert">{images.error.value.message}</p>}
      {found?.length === 0 && (
        <p class="quiet">
          {state || split ? "No image is like that." : "There is no image yet: PNG and TIFF files become some."}
        </p>
      )}
      {found && found.length > 0 && (
        <div class="images">
          <table>
            <thead>
              <tr>
                <th>
                  <span class="unseen">Picture</span>
                </th>
                <th>Image</th>
                <th>State</th>
                <th>Split</th>
                <th>Pixel size</th>
                <th>Donor, group</th>
                <th>
                  <span class="unseen">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {found.map((image) => (
                <ImageRow key={image.id} image={image} manages={manages} changed={images.again} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function counted(images: readonly Image[]): string {
  const parts = SPLITS.map(([split]) => [images.filter((image) => image.split === split).length, split] as const);
  const splits = parts.filter(([count]) => count > 0).map(([count, split]) => `${count} ${split}`);
  return `${images.length} ${images.length === 1 ? "image" : "images"}${splits.length ? `: ${splits.join(", ")}` : ""}`;
}
