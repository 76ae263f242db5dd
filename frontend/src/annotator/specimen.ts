/** A small synthetic tile with everything a bench needs; for tests. */
import type { Image, Label, Project, Task } from "../api/client";
import type { Grey, Rect } from "../raster/types";
import type { Sheet } from "./workbench";

const WHEN = "2026-01-01T00:00:00Z";

/** Number `n` as the id of a row. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

/** Labels 1-3 of the specimen. */
export const labels: readonly Label[] = [
  ["endoplasmic reticulum", "#56b4e9"],
  ["mitochondrion", "#e69f00"],
  ["nucleus", "#cc79a7"],
].map(([name, colour], index) => ({
  id: uuid(10 + index),
  value: index + 1,
  name: name as string,
  colour: colour as string,
  priority: 1,
  target_recall: 0.9,
  precision_floor: null,
  guideline: "",
  examples: [],
}));

/**
 * A tile of `size`² at (margin, margin) of a grey image with `margin` pixels of tissue around it:
 * a dark disc of a quarter of the size in its middle on a bright ground with a slope.
 * The pre-label calls the disc a mitochondrion; the entropy is high on its rim.
 */
export function specimen(size = 64, margin = 16, changes: Partial<Sheet> = {}): Sheet {
  const box: Rect = { x: margin, y: margin, w: size, h: size };
  const around = (x: number, y: number) => Math.hypot(x - size / 2, y - size / 2) - size / 4;
  return {
    task: task(box),
    project: project(size),
    image: image(size, margin),
    asked: labels,
    grey: grey(size + 2 * margin, (x, y) => around(x - margin, y - margin)),
    box,
    start: new Uint8Array(size * size),
    before: [],
    prelabel: {
      width: size,
      height: size,
      data: Uint8Array.from(field(size, (x, y) => (around(x, y) < 0 ? 2 : 0))),
    },
    entropy: async () =>
      Float32Array.from(field(size, (x, y) => (Math.abs(around(x, y)) < 2 ? Math.log(3) : 0.05))),
    probability: async (label) =>
      Uint8Array.from(field(size, (x, y) => (label.value === 2 && around(x, y) < 0 ? 230 : 13))),
    ...changes,
  };
}

function field(size: number, at: (x: number, y: number) => number): number[] {
  return Array.from({ length: size * size }, (_, i) => at(i % size, Math.floor(i / size)));
}

function grey(size: number, around: (x: number, y: number) => number): Grey {
  const at = (x: number, y: number) => (around(x, y) < 0 ? 60 : 160 + Math.round((40 * x) / size));
  return { width: size, height: size, data: Uint8Array.from(field(size, at)) };
}

function task(box: Rect): Task {
  return {
    id: uuid(1),
    project_id: uuid(2),
    tile: {
      id: uuid(3),
      image_id: uuid(4),
      position: 0,
      box,
      split: "pool",
    },
    kind: "annotate",
    state: "claimed",
    rank: 1,
    reason: "The model is unsure about mitochondrion here.",
    complete_for: null,
    assignee_id: uuid(5),
    assignee: "Ada",
    lease_until: "2026-01-01T01:00:00Z",
    annotation_id: null,
    under_review: null,
    prediction_id: uuid(6),
    skip_reason: null,
    comment: null,
    created_at: WHEN,
  };
}

function project(size: number): Project {
  return {
    id: uuid(2),
    slug: "liver",
    name: "Liver",
    labels: [...labels],
    tile_size: size,
    query_size: 8,
    strategy: "start",
    strategy_parameters: {},
    segmenter: "forest",
    training: {},
    review: false,
    second_share: 0,
    gold_share: 0,
    gold_feedback: true,
    never_touch: [],
    promotion: "automatic",
    seed: 1,
    working_nm: 8,
    time_zone: "UTC",
    version: 1,
    created_at: WHEN,
  };
}

function image(size: number, margin: number): Image {
  return {
    id: uuid(4),
    project_id: uuid(2),
    name: "specimen.tif",
    sha256: "0".repeat(64),
    bytes: (size + 2 * margin) ** 2,
    state: "ready",
    error: null,
    split: "pool",
    height: size + 2 * margin,
    width: size + 2 * margin,
    dtype: "uint8",
    levels: 1,
    mean: 150,
    sd: 40,
    pixel_nm: 8,
    pixel_source: "stated",
    donor: null,
    group: null,
    version: 1,
    created_at: WHEN,
    deleted_at: null,
    please: null,
  };
}
