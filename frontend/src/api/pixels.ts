/** Rasters from the service: raw bytes, never pictures, so a browser cannot alter a value. */
import type { Grey, Raster, Rect } from "../raster/types";
import { bytes, Problem } from "./client";

/** A box as the query of a region. */
export function boxed(rect: Rect): string {
  return `y=${rect.y}&x=${rect.x}&h=${rect.h}&w=${rect.w}`;
}

/** Grey values of a box of an image at full resolution, as the microscope gave them. */
export async function greyOf(image: string, rect: Rect, signal?: AbortSignal): Promise<Grey> {
  const answer = await bytes(`/api/v1/images/${image}/region?level=0&format=raw&${boxed(rect)}`, signal ? { signal } : {});
  const buffer = await answer.arrayBuffer();
  const dtype = answer.headers.get("X-Dtype") ?? "uint8";
  const kinds = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };
  const Kind = kinds[dtype as keyof typeof kinds];
  if (Kind === undefined) throw new Problem(422, `The page cannot show images of ${dtype} values.`);
  return { width: rect.w, height: rect.h, data: new Kind(buffer) };
}

/** The labels a model version decided on in a box of an image. */
export async function predictedLabels(prediction: string, rect: Rect, signal?: AbortSignal): Promise<Raster> {
  const path = `/api/v1/predictions/${prediction}/labels?level=0&format=raw&${boxed(rect)}`;
  const answer = await bytes(path, signal ? { signal } : {});
  return { width: rect.w, height: rect.h, data: new Uint8Array(await answer.arrayBuffer()) };
}

/** The mask of one revision of a tile. */
export async function maskOf(annotation: string, rect: Rect, signal?: AbortSignal): Promise<Raster> {
  const answer = await bytes(`/api/v1/annotations/${annotation}/mask`, signal ? { signal } : {});
  return { width: rect.w, height: rect.h, data: new Uint8Array(await answer.arrayBuffer()) };
}
