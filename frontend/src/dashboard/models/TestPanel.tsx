/** The test panel: image, ground truth, prediction, errors, tile by tile. */
import { useState } from "preact/hooks";
import { api, body, type Model, Problem, type Project, type Schemas } from "../../api/client";
import { greyOf, maskOf, predictedLabels } from "../../api/pixels";
import { compareRasters } from "../../raster/compare";
import type { Grey, Raster } from "../../raster/types";
import { type Change, useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { Picture } from "../../widgets/Picture";
import { ERRORS, errors, greyPixels, labelled } from "../../widgets/tilePicture";
import { predictionOf } from "./predictionOf";

type Tile = Schemas["TileStateView"];
const AT_ONCE = 3;

/** Annotated tiles of a split as this version sees them. */
export function TestPanel(props: {
  project: Project;
  model: Model;
  split: "test" | "validation";
  change: Change | null;
}) {
  const { project, model, split, change } = props;
  const [shown, setShown] = useState(AT_ONCE);
  const tiles = useLoaded(async () => {
    const query = { split, state: "annotated", limit: 200 } as const;
    const page = await body(
      api.GET("/api/v1/projects/{project}/tiles", { params: { path: { project: project.slug }, query } }),
    );
    return page.items;
  }, [project.slug, split]);
  const found = tiles.value.value;
  return (
    <section aria-labelledby="panel">
      <h3 id="panel">Test panel</h3>
      {tiles.error.value && <p role="alert">{tiles.error.value.message}</p>}
      {found?.length === 0 && <p class="quiet">No {split} tile is annotated.</p>}
      {found?.slice(0, shown).map((tile) => (
        <Row key={tile.id} project={project} model={model} tile={tile} change={change} />
      ))}
      {found && found.length > 0 && (
        <p class="row">
          <span class="quiet">
            Errors: <b style={{ color: ERRORS.missed }}>■</b> missed, <b style={{ color: ERRORS.invented }}>■</b>{" "}
            invented, <b style={{ color: ERRORS.confused }}>■</b> one organelle for another
          </span>
          <span class="spring" />
          {found.length > shown && (
            <button type="button" onClick={() => setShown(shown + AT_ONCE)}>
              {found.length - shown} more
            </button>
          )}
        </p>
      )}
    </section>
  );
}

function Row(props: { project: Project; model: Model; tile: Tile; change: Change | null }) {
  const { project, model, tile, change } = props;
  const loaded = useLoaded(() => fetchRow(model, tile), [model.id, tile.id]);
  // a prediction that was asked for comes with a job; what is shown already stays
  useChanges(change, ["job"], () => loaded.error.value && loaded.again());
  const row = loaded.value.value;
  if (loaded.error.value) return <p class="quiet">{loaded.error.value.message}</p>;
  if (!row) return <p class="quiet">Loading a tile …</p>;
  const { grey, truth, said } = row;
  const plain = greyPixels(grey);
  const pictures: [string, Uint32Array][] = [
    ["image", plain],
    ["ground truth", labelled(plain, truth, project.labels)],
    ["prediction", labelled(plain, said, project.labels)],
    ["errors", errors(plain, truth, said)],
  ];
  const agreements = compareRasters(truth.data, said.data, project.labels.map((label) => label.value));
  const words = project.labels
    .map((label, n) => [label.name, agreements[n].dice] as const)
    .filter(([, dice]) => dice !== null)
    .map(([name, dice]) => `${name} ${dice?.toFixed(2)}`);
  return (
    <>
      <div class="panel-row">
        {pictures.map(([title, rgba]) => (
          <figure key={title}>
            <Picture label={`${title} of tile ${tile.position}`} width={grey.width} height={grey.height} rgba={rgba} />
            <figcaption>{title}</figcaption>
          </figure>
        ))}
      </div>
      <p class="quiet">Dice on this tile: {words.join(", ") || "nothing painted"}</p>
    </>
  );
}

async function fetchRow(model: Model, tile: Tile): Promise<{ grey: Grey; truth: Raster; said: Raster }> {
  const prediction = await predictionOf(model, tile.image_id);
  if (!prediction) {
    throw new Problem(404, `Round ${model.ordinal} has no prediction of this tile's image any more; ask for it below.`);
  }
  const { box } = tile;
  const [grey, truth, said] = await Promise.all([
    greyOf(tile.image_id, box),
    maskOf(tile.annotation_id ?? "", box),
    predictedLabels(prediction.id, box),
  ]);
  return { grey, truth, said };
}
