/** Everything a tile needs, fetched at once. */
import { api, body, bytes, type Image, type Label, Problem, type Project, type Task } from "../../api/client";
import { boxed, greyOf } from "../../api/pixels";
import { fromHalf } from "../../raster/half";
import type { Grey, Raster, Rect } from "../../raster/types";
import type { Sheet } from "../workbench";
import type { Pin } from "./actions";

/** Unsent work as the server has it. */
export interface Draft {
  readonly version: number;
  readonly labels: Uint8Array;
  readonly completeFor: readonly number[];
  readonly activeSeconds: number;
}

/** A tile that is ready to be laid on the bench. */
export interface Ready {
  readonly sheet: Sheet;
  readonly draft: Draft | null;
  /** Labels the raster it starts from is complete for. */
  readonly startedFrom: readonly number[];
  readonly pins: readonly Pin[];
}

/** Images by id: their size and scale never change. */
export type Images = Map<string, Promise<Image>>;

/** Take note of a project's first images, so that a tile need not ask for its own. */
export async function knowImages(slug: string, images: Images): Promise<void> {
  const page = await body(
    api.GET("/api/v1/projects/{project}/images", {
      params: { path: { project: slug }, query: { limit: 100 } },
    }),
  );
  for (const image of page.items) images.set(image.id, Promise.resolve(image));
}

/** Fetch a task's grey, labels, draft, pre-label and remarks, all at once. */
export async function fetchReady(
  task: Task,
  project: Project,
  images: Images,
  me: string,
): Promise<Ready> {
  const found = imageOf(task.tile.image_id, images);
  const [image, context, mask, draft, prelabel, pins] = await Promise.all([
    found,
    found.then((image) => fetchContext(task, image, project.tile_size)),
    fetchMask(task),
    fetchDraft(task.id),
    fetchPrelabel(task),
    fetchPins(task.id, me),
  ]);
  const wanted = task.complete_for;
  const asked = project.labels.filter((label) => wanted === null || wanted.includes(label.value));
  let entropy: Promise<Float32Array | null> | null = null;
  const sheet: Sheet = {
    task,
    project,
    image,
    asked,
    ...context,
    start: mask.labels,
    prelabel: prelabel && { ...prelabel, data: onlyAsked(prelabel.data, mask.labels, asked, project) },
    before: mask.completeFor.filter((value) => !asked.some((label) => label.value === value)),
    entropy: () => (entropy ??= fetchMap(task, "entropy").then((found) => found && fromHalf(found))),
    probability: async (label) => {
      const found = await fetchMap(task, "probability", label.name);
      return found && new Uint8Array(found);
    },
  };
  return { sheet, draft, startedFrom: mask.completeFor, pins };
}

/** What a model says of the labels that are asked for; the others stay as the tile has them. */
export function onlyAsked(
  said: Uint8Array,
  start: Uint8Array,
  asked: readonly Label[],
  { labels }: Project,
): Uint8Array {
  const kept = new Uint8Array(256);
  for (const { value } of labels) if (!asked.some((one) => one.value === value)) kept[value] = 1;
  return said.map((value, i) => (kept[start[i]] === 1 ? start[i] : kept[value] === 1 ? 0 : value));
}

function imageOf(id: string, images: Images): Promise<Image> {
  const known = images.get(id);
  if (known) return known;
  const asked = body(api.GET("/api/v1/images/{image}", { params: { path: { image: id } } }));
  images.set(id, asked);
  // what failed may be asked again
  asked.catch(() => images.delete(id));
  return asked;
}

/** The tile with half a tile of tissue on each side, as far as the image goes. */
export async function fetchContext(
  task: Pick<Task, "tile">,
  image: Image,
  tileSize: number,
): Promise<{ grey: Grey; box: Rect }> {
  const { box } = task.tile;
  const ring = Math.floor(tileSize / 2);
  const x = Math.max(0, box.x - ring);
  const y = Math.max(0, box.y - ring);
  const w = Math.min(image.width ?? box.x + box.w, box.x + box.w + ring) - x;
  const h = Math.min(image.height ?? box.y + box.h, box.y + box.h + ring) - y;
  const grey = await greyOf(image.id, { x, y, w, h });
  return { grey, box: { x: box.x - x, y: box.y - y, w: box.w, h: box.h } };
}

/** The raster a new revision starts from. */
export async function fetchMask(task: Pick<Task, "id">): Promise<{ labels: Uint8Array; completeFor: number[] }> {
  const answer = await bytes(`/api/v1/tasks/${task.id}/mask`);
  return { labels: new Uint8Array(await answer.arrayBuffer()), completeFor: valuesOf(answer) };
}

/** One's unsent work on the server, or null. */
export async function fetchDraft(task: string): Promise<Draft | null> {
  const answer = await bytes(`/api/v1/tasks/${task}/draft`);
  if (answer.status === 204) return null;
  return {
    version: versionOf(answer),
    labels: new Uint8Array(await answer.arrayBuffer()),
    completeFor: valuesOf(answer),
    activeSeconds: Number(answer.headers.get("X-Active-Seconds") ?? 0),
  };
}

/** The version an ETag names. */
export function versionOf(answer: Response): number {
  return Number((answer.headers.get("ETag") ?? "").replace(/^W\/|"/g, ""));
}

function valuesOf(answer: Response): number[] {
  return (answer.headers.get("X-Complete-For") ?? "").split(",").filter(Boolean).map(Number);
}

async function fetchPrelabel(task: Task): Promise<Raster | null> {
  const found = await fetchMap(task, "labels");
  const { w: width, h: height } = task.tile.box;
  return found && { width, height, data: new Uint8Array(found) };
}

/** A map of the prediction that is shown; null if there is none, or it was collected. */
async function fetchMap(task: Task, map: string, label?: string): Promise<ArrayBuffer | null> {
  if (task.prediction_id === null) return null;
  const of = label === undefined ? "" : `&label=${encodeURIComponent(label)}`;
  const region = `format=raw&level=0&${boxed(task.tile.box)}${of}`;
  const path = `/api/v1/predictions/${task.prediction_id}/${map}?${region}`;
  try {
    return await (await bytes(path)).arrayBuffer();
  } catch (problem) {
    // an older version's maps are collected; a label may be newer than the version
    if (problem instanceof Problem && (problem.status === 404 || problem.status === 422)) return null;
    throw problem;
  }
}

async function fetchPins(task: string, me: string): Promise<Pin[]> {
  const said = await body(
    api.GET("/api/v1/tasks/{task}/comments", { params: { path: { task } } }),
  );
  return said.filter((one) => one.resolved_at === null && one.author_id !== me);
}
