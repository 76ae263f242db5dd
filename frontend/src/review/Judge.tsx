/** One tile under review: what was painted, beside what one likes to compare it with. */
import { useMemo, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { api, body, type Project, type Task } from "../api/client";
import { greyOf, maskOf, predictedLabels } from "../api/pixels";
import type { Raster } from "../raster/types";
import { useLoaded } from "../shell/load";
import { complain, tell } from "../shell/toasts";
import { Choice } from "../widgets/Choice";
import { Slider } from "../widgets/Slider";
import { ERRORS, errors, greyPixels, labelled } from "../widgets/tilePicture";
import { Agreement } from "./Agreement";
import { duration, History, makeGold, Remarks } from "./History";
import { Pane } from "./Pane";
import { type Pin, Pins } from "./Pins";
import { Verdict } from "./Verdict";

type Beside = "image" | "pre-label" | `revision ${number}`;

/** Accept, mend or send back; the history of the tile stands beside. */
export function Judge(props: { project: Project; task: Task; mend: () => void; next: () => void }) {
  const { project, task } = props;
  const { tile, under_review: revision } = task;
  const [beside, setBeside] = useState<Beside>("image");
  const [differing, setDiffering] = useState(false);
  const [zoom, setZoom] = useState(1);
  const [pins, setPins] = useState<readonly Pin[]>([]);
  const scroll = useSignal({ left: 0, top: 0 });
  const loaded = useLoaded(() => fetchTile(project, task), [task.id]);
  const found = loaded.value.value;

  const other = useLoaded<Raster | null>(async () => {
    if (beside === "image" || !found) return null;
    if (beside.startsWith("revision")) {
      const chosen = found.history.find((one) => `revision ${one.revision}` === beside);
      return chosen ? maskOf(chosen.id, tile.box) : null;
    }
    return found.prelabel;
  }, [beside, found]);
  const compared = beside === "image" ? found?.prelabel : other.value.value;

  const mine = useMemo(() => found && labelled(found.grey, found.mask, project.labels), [found]);
  const right = useMemo(() => {
    if (!found) return null;
    if (!compared || beside === "image") return found.grey;
    if (differing) return errors(found.grey, found.mask, compared);
    return labelled(found.grey, compared, project.labels);
  }, [found, compared, beside, differing]);

  async function judge(accept: boolean, comment: string, gold = false) {
    try {
      await api.POST("/api/v1/tasks/{task}/verdict", {
        params: { path: { task: task.id } },
        body: { accept, comment: comment || null, pins: pins.map(({ y, x, text }) => ({ y, x, text })) },
      });
      tell(accept ? "Accepted." : "Sent back to its author.");
      if (gold && revision) await makeGold(revision, false);
      props.next();
    } catch (problem) {
      complain(problem);
    }
  }

  if (loaded.error.value) {
    return (
      <main id="main" class="page">
        <p role="alert">{loaded.error.value.message}</p>
      </main>
    );
  }
  if (!found || !mine || !right) return <main id="main" class="page quiet">Loading …</main>;
  const earlier = found.history.filter((one) => one.id !== revision?.id && one.erased_at === null);
  const choices: Beside[] = [
    "image",
    ...(found.prelabel ? (["pre-label"] as const) : []),
    ...earlier.map((one) => `revision ${one.revision}` as const),
  ];
  const named = beside.startsWith("revision") ? beside : "the pre-label";
  const shown = differing && beside !== "image" ? `difference to ${named}` : beside;
  const pane = { width: tile.box.w, height: tile.box.h, zoom, scroll };
  return (
    <main id="main" class="review">
      <header class="row">
        <h1>Review</h1>
        <span>
          by {revision?.author ?? "somebody"}
          {revision?.active_seconds != null && `, ${duration(revision.active_seconds)} of work`}
        </span>
        <span class="spring" />
        <Choice
          label="Beside it"
          options={choices.map((choice) => [choice, choice])}
          value={beside}
          change={setBeside}
        />
        <label>
          <input
            type="checkbox"
            checked={differing}
            disabled={beside === "image"}
            onChange={() => setDiffering(!differing)}
          />{" "}
          Only the difference
        </label>
        <Slider label="Zoom" min={1} max={8} value={zoom} says={(times) => `${times}×`} change={setZoom} />
      </header>
      <div class="panes-two">
        <Pane {...pane} title="Painted" rgba={mine}>
          <Pins pins={pins} comments={found.comments} change={setPins} mask={found.mask} project={project} />
        </Pane>
        <Pane {...pane} title={shown} rgba={right} />
      </div>
      <aside>
        {task.reason && <p class="quiet">{task.reason}</p>}
        {shown !== beside && (
          <p>
            <b style={{ color: ERRORS.missed }}>■</b> painted only, <b style={{ color: ERRORS.invented }}>■</b>{" "}
            {beside} only, <b style={{ color: ERRORS.confused }}>■</b> another label
          </p>
        )}
        <Verdict pins={pins} judge={judge} mend={props.mend} />
        {compared ? (
          <Agreement
            labels={project.labels}
            one={found.mask}
            other={compared}
            title={`Agreement with ${named}`}
          />
        ) : (
          <p class="quiet">There is nothing to compare with: the author saw no pre-label, or it is not kept any more.</p>
        )}
        <Remarks comments={found.comments} />
        <History history={found.history} />
      </aside>
    </main>
  );
}

async function fetchTile(project: Project, task: Task) {
  const { tile, under_review: revision } = task;
  if (!revision) throw new Error("The revision under review is gone.");
  // what the author saw, not what the model says now: a blind tile had none
  const shown = revision.prediction_id;
  const [grey, mask, prelabel, page, comments] = await Promise.all([
    greyOf(tile.image_id, tile.box),
    maskOf(revision.id, tile.box),
    // an older version's maps are collected after a day
    shown ? predictedLabels(shown, tile.box).catch(() => null) : null,
    body(
      api.GET("/api/v1/projects/{project}/annotations", {
        params: { path: { project: project.slug }, query: { tile: tile.id, limit: 50 } },
      }),
    ),
    body(api.GET("/api/v1/tasks/{task}/comments", { params: { path: { task: task.id } } })),
  ]);
  return { grey: greyPixels(grey), mask, prelabel, history: page.items, comments };
}
