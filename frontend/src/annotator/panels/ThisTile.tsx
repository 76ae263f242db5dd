/** Why this tile, what others said of it, and who has labelled it before. */
import { all, api, type Schemas } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { covers, me } from "../../shell/session";
import { complain } from "../../shell/toasts";
import { Whole } from "../../widgets/Whole";
import { jumpTo } from "../canvas/viewport";
import { pins } from "../flow/actions";
import type { Workbench } from "../workbench";
import { nanometres, pixelSize } from "./lengths";

type Revision = Schemas["AnnotationView"];

/** The facts of the tile and its history. */
export function ThisTile({ bench }: { bench: Workbench }) {
  const { task, image } = bench.sheet;
  const { box } = task.tile;
  const size = pixelSize(bench);
  return (
    <>
      <p>{task.reason ?? "The tile is next in the queue."}</p>
      {task.comment && (
        <p class="banner">
          <strong>Sent back:</strong> {task.comment}
        </p>
      )}
      <Remarks bench={bench} />
      <dl class="facts">
        <dt>Image</dt>
        <dd>{image.name}</dd>
        <dt>Place</dt>
        <dd>
          {box.w} × {box.h} px at {box.x}, {box.y}
        </dd>
        <dt>Pixel size</dt>
        <dd>
          {size === null ? "not known" : `${nanometres(size.nm)}${size.assumed ? ", assumed" : ""}`}
        </dd>
      </dl>
      <Whole image={image} box={box} />
      <History bench={bench} />
    </>
  );
}

function Remarks({ bench }: { bench: Workbench }) {
  if (pins.value.length === 0) return null;
  return (
    <ol class="remarks" aria-label="Remarks">
      {pins.value.map((pin) => (
        <li key={pin.id}>
          <strong>{pin.author}:</strong> {pin.text}{" "}
          {pin.x !== null && pin.y !== null && (
            <button
              type="button"
              class="small"
              aria-label={`Show where: ${pin.text}`}
              onClick={() => jumpTo(bench, pin.x as number, pin.y as number)}
            >
              Show
            </button>
          )}{" "}
          <button
            type="button"
            class="small"
            aria-label={`Done: ${pin.text}`}
            onClick={() => resolve(pin.id).catch(complain)}
          >
            Done
          </button>
        </li>
      ))}
    </ol>
  );
}

/** Mark a remark as done; it is not shown again. */
async function resolve(comment: string): Promise<void> {
  await api.POST("/api/v1/comments/{comment}/resolve", { params: { path: { comment } } });
  pins.value = pins.value.filter((pin) => pin.id !== comment);
}

function History({ bench }: { bench: Workbench }) {
  const { task, project } = bench.sheet;
  const history = useLoaded(
    () =>
      all((page) =>
        api.GET("/api/v1/projects/{project}/annotations", {
          params: { path: { project: project.slug }, query: { tile: task.tile.id, ...page } },
        }),
      ),
    [task.tile.id],
  );
  const found = history.value.value;
  if (history.error.value) {
    return (
      <p class="quiet">
        The history did not arrive.{" "}
        <button type="button" class="small" onClick={() => void history.again()}>
          Try again
        </button>
      </p>
    );
  }
  if (!found) return <p class="quiet">Loading the history …</p>;
  const person = me.value;
  // to see that others had the tile before would give a blind one away
  const shown = found.filter(
    (revision) => person && (revision.author_id === person.id || covers(person, project.slug, "reviewer")),
  );
  if (shown.length === 0) return <p class="quiet">You have not labelled it before.</p>;
  return (
    <ol class="history" aria-label="History of the tile" reversed>
      {shown.map((revision) => (
        <li key={revision.id}>
          {who(revision)}, <time dateTime={revision.created_at}>{when(revision.created_at)}</time>{" "}
          <span class="quiet">
            {[labelNames(bench, revision), states[revision.state]].filter(Boolean).join(", ")}
          </span>
        </li>
      ))}
    </ol>
  );
}

const states: Partial<Record<Revision["state"], string>> = {
  waiting: "waiting for review",
  returned: "sent back",
  superseded: "replaced by a newer one",
  kept: "kept, not accepted",
  retracted: "retracted",
  erased: "erased",
};

function who(revision: Revision): string {
  if (revision.author_id !== null && revision.author_id === me.value?.id) return "You";
  return revision.author ?? (revision.imported ? "Imported" : "Somebody");
}

function when(date: string): string {
  return new Date(date).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function labelNames(bench: Workbench, { complete_for: values }: Revision): string {
  const { labels } = bench.sheet.project;
  if (values.length === labels.length) return "all labels";
  const names = labels.filter((label) => values.includes(label.value)).map((label) => label.name);
  return names.length === 0 ? "no label in full" : names.join(", ");
}
