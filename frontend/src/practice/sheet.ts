/** A practice tile as the bench wants it: an empty sheet that belongs to nobody's queue. */
import { api, body, type Project, type Schemas, type Task } from "../api/client";
import { fetchContext } from "../annotator/flow/sheet";
import type { Sheet } from "../annotator/workbench";

/** Fetch what there is to see of a practice tile; its task is the truth's id and no more. */
export async function practiceSheet(found: Schemas["PracticeView"], project: Project): Promise<Sheet> {
  const { tile, annotation_id: id, complete_for: complete } = found;
  const image = await body(
    api.GET("/api/v1/images/{image}", { params: { path: { image: tile.image_id } } }),
  );
  const task: Task = {
    id,
    project_id: project.id,
    tile,
    kind: "annotate",
    state: "claimed",
    rank: 0,
    reason: "A tile to practise on.",
    complete_for: complete,
    assignee_id: null,
    assignee: null,
    lease_until: null,
    annotation_id: null,
    under_review: null,
    prediction_id: null,
    skip_reason: null,
    comment: null,
    created_at: image.created_at,
  };
  return {
    task,
    project,
    image,
    asked: project.labels.filter((label) => complete.includes(label.value)),
    ...(await fetchContext(task, image, project.tile_size)),
    start: new Uint8Array(tile.box.w * tile.box.h),
    before: [],
    prelabel: null,
    entropy: async () => null,
    probability: async () => null,
  };
}
