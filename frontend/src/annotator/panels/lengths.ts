/** Lengths in pixels and on the specimen. */
import type { Workbench } from "../workbench";

/** Nanometres a pixel of the tile stands for, and whether that is only assumed; null if unknown. */
export function pixelSize(bench: Workbench): { nm: number; assumed: boolean } | null {
  const { image, project } = bench.sheet;
  if (image.pixel_nm !== null) return { nm: image.pixel_nm, assumed: false };
  return project.working_nm === null ? null : { nm: project.working_nm, assumed: true };
}

/** Pixels as people read them: "16 px · 128 nm", with ", assumed" where nobody stated the size. */
export function lengthText(bench: Workbench, pixels: number): string {
  const size = pixelSize(bench);
  if (size === null) return `${pixels} px`;
  return `${pixels} px · ${nanometres(pixels * size.nm)}${size.assumed ? ", assumed" : ""}`;
}

/** "128 nm", "1.28 µm". */
export function nanometres(nm: number): string {
  return nm < 1000 ? `${Number(nm.toPrecision(3))} nm` : `${Number((nm / 1000).toPrecision(3))} µm`;
}
