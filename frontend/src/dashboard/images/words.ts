/** How sizes and states of images read. */
import type { Image } from "../../api/client";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Bytes for people: 12.3 MB. */
export function bytesInWords(bytes: number): string {
  let unit = 0;
  while (bytes >= 1000 && unit < UNITS.length - 1) {
    bytes /= 1000;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${UNITS[unit]}`;
}

/** What the states are called. */
export const STATES: Readonly<Record<Image["state"], string>> = {
  uploaded: "being read",
  ready: "ready",
  rejected: "rejected",
  deleted: "deleted",
};

/** What the splits are for. */
export const SPLITS: readonly (readonly [Image["split"], string])[] = [
  ["pool", "people paint it, models learn from it"],
  ["validation", "models are judged on it"],
  ["test", "kept for the report alone; nothing leaves it"],
  ["none", "predicted when asked, nothing else"],
];

/** Where the figure for the pixel size came from. */
export const SOURCES: Readonly<Record<Image["pixel_source"], string>> = {
  stated: "stated",
  file: "from the file",
  unknown: "",
};
