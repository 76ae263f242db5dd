/** One tile to look at: its picture, what was painted on it by whom, and what may be done. */
import { useMemo, useState } from "preact/hooks";
import { all, api, body, type Project, type Schemas } from "../../api/client";
import { greyOf, maskOf } from "../../api/pixels";
import { type Change, useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { setQuery } from "../../shell/router";
import { covers, type Me } from "../../shell/session";
import { complain, tell } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import { Dialog } from "../../widgets/Dialog";
import { Picture } from "../../widgets/Picture";
import { greyPixels, labelled } from "../../widgets/tilePicture";
import { STATES } from "./words";

type Revision = Schemas["AnnotationView"];
type Tile = Schemas["TileStateView"];

/** The dialog of a tile; nothing can be painted in it. */
export function OneTile(props: {
  id: string;
  project: Project;
  me: Me;
  change: Change | null;
  names: ReadonlyMap<string, string>;
}) {
  const { id, project, me, names } = props;
  const [chosen, choose] = useState<string | null>(null);
  const loaded = useLoaded(async () => {
    const [tile, history] = await Promise.all([
      body(api.GET("/api/v1/tiles/{tile}", { params: { path: { tile: id } } })),
      all((page) =>
        api.GET("/api/v1/projects/{project}/annotations", {
          params: { path: { project: project.slug }, query: { tile: id, ...page } },
        }),
      ),
    ]);
    return { tile, history };
  }, [id]);
  useChanges(props.change, ["task", "annotation"], loaded.again);
  const found = loaded.value.value;
  const shown = chosen ?? found?.tile.annotation_id ?? found?.history[0]?.id;
  const close = () => setQuery({ tile: null });

  async function act(title: string, text: string, yes: string, work: () => Promise<unknown>) {
    if (!(await confirm(title, text, yes))) return;
    try {
      await work();
      tell("Done.");
    } catch (problem) {
      complain(problem);
    }
    await loaded.again();
  }
  const gold = (annotation: string, practice: boolean) =>
    api.PUT("/api/v1/annotations/{annotation}/gold", { params: { path: { annotation }, query: { practice } } });
  const accepted = found?.history.find((one) => one.id === found.tile.annotation_id);
  return (
    <Dialog title={found ? `Tile ${found.tile.position} of ${names.get(found.tile.image_id) ?? "…"}` : "Tile"} close={close} wide>
      {loaded.error.value && <p role="alert">{loaded.error.value.message}</p>}
      {found && (
        <div class="panes">
          <Look tile={found.tile} project={project} revision={found.history.find((one) => one.id === shown)} />
          <div>
            <p>
              {STATES[found.tile.state]}, split {found.tile.split}
            </p>
            {found.history.length === 0 && <p class="quiet">Nobody has painted it yet.</p>}
            <ol class="history" aria-label="History">
              {found.history.map((one) => (
                <li key={one.id}>
                  <button type="button" aria-pressed={one.id === shown} onClick={() => choose(one.id)}>
                    Revision {one.revision}
                  </button>{" "}
                  {one.state}: {one.imported ? "imported" : (one.author ?? "somebody who left")},{" "}
                  {new Date(one.created_at).toLocaleString()}
                  {one.accepter && one.accepter !== one.author && `, accepted by ${one.accepter}`}
                </li>
              ))}
            </ol>
            {accepted && covers(me, project.slug, "reviewer") && (
              <p class="row">
                {accepted.task_id && found.tile.state === "annotated" && (
                  <button
                    type="button"
                    onClick={() =>
                      act("Reopen the tile?", `${accepted.author ?? "Its author"} is asked for it again.`, "Reopen", () =>
                        api.POST("/api/v1/tasks/{task}/reopen", { params: { path: { task: accepted.task_id as string } } }),
                      )
                    }
                  >
                    Reopen
                  </button>
                )}
                <button
                  type="button"
                  onClick={() =>
                    act("Make it gold?", "Other people are measured by this mask, unseen.", "Make gold", () =>
                      gold(accepted.id, false),
                    )
                  }
                >
                  Make gold
                </button>
                <button
                  type="button"
                  onClick={() =>
                    act("Let people practise on it?", "Everybody may see its truth then.", "Make it for practice", () =>
                      gold(accepted.id, true),
                    )
                  }
                >
                  Make it for practice
                </button>
              </p>
            )}
          </div>
        </div>
      )}
    </Dialog>
  );
}

function Look({ tile, project, revision }: { tile: Tile; project: Project; revision: Revision | undefined }) {
  const { image_id, box } = tile;
  const mask = revision && !revision.erased_at ? revision.id : null;
  const grey = useLoaded(() => greyOf(image_id, box), [image_id, tile.id]);
  const painted = useLoaded(async () => (mask ? maskOf(mask, box) : null), [mask]);
  const [under, over] = [grey.value.value, painted.value.value];
  const rgba = useMemo(() => {
    if (!under) return null;
    const plain = greyPixels(under);
    return over ? labelled(plain, over, project.labels) : plain;
  }, [under, over, project]);
  const problem = grey.error.value ?? painted.error.value;
  if (problem) return <p role="alert">{problem.message}</p>;
  if (!rgba) return <p class="quiet">Loading …</p>;
  const label = mask ? `Revision ${revision?.revision} of tile ${tile.position}` : `Tile ${tile.position}`;
  return <Picture label={label} width={box.w} height={box.h} rgba={rgba} />;
}
