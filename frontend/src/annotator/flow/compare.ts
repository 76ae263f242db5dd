/** What a tile that was sent shows of how one paints, if it was a check. */
import { api, body, type Schemas } from "../../api/client";
import type { Raster } from "../../raster/types";
import type { Sheet, Workbench } from "../workbench";

/** An answer and what the service said of it. */
export interface Compared {
  readonly sheet: Sheet;
  readonly raster: Raster;
  readonly found: Schemas["FeedbackView"];
}

/** Ask how a tile compares with the truth; null of most tiles, and where people are not told. */
export async function compare({ sheet, raster }: Workbench): Promise<Compared | null> {
  const { project, task } = sheet;
  if (task.kind === "review" || project.gold_share === 0 || !project.gold_feedback) return null;
  const sent = { ...raster, data: raster.data.slice() };
  const params = { path: { task: task.id } };
  // it is not worth a complaint
  const found = await body(api.GET("/api/v1/tasks/{task}/feedback", { params })).catch(() => null);
  return found?.annotation_id ? { sheet, raster: sent, found } : null;
}
