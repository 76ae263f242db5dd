/** One tile on the bench: its labels, what has been done to them, and how it is looked at. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Image, Label, Project, Task } from "../api/client";
import { writable } from "../raster/apply";
import { History } from "../raster/history";
import type { Change, Grey, Raster, Rect, Writable } from "../raster/types";
import { guard, locked } from "./settings";

/** What was fetched for a task, before the person changes anything. */
export interface Sheet {
  readonly task: Task;
  readonly project: Project;
  readonly image: Image;
  /** The labels the task asks for; the whole schema unless it is an ER-only task or the like. */
  readonly asked: readonly Label[];
  /** Grey of the tile with the tissue around it. */
  readonly grey: Grey;
  /** Where the tile stands in `grey`. */
  readonly box: Rect;
  /** The tile's last accepted or sent raster, or zeros. */
  readonly start: Uint8Array;
  /** Labels that are not asked for and that `start` is complete for already; they stay so. */
  readonly before: readonly number[];
  /** What the live version says of what is asked; null for a blind task or before the first model. */
  readonly prelabel: Raster | null;
  /** Entropy per pixel of the tile in nats; fetched when it is first asked for. */
  readonly entropy: () => Promise<Float32Array | null>;
  /** Probability 0..255 per pixel of one label. */
  readonly probability: (label: Label) => Promise<Uint8Array | null>;
}

/** What a tile looks like on the screen: image pixel (x, y) stands at ((x - left) * scale, ...). */
export interface View {
  /** Screen pixels (CSS) per image pixel. */
  readonly scale: number;
  /** Tile coordinates of the screen's top left corner. */
  readonly left: number;
  readonly top: number;
}

export class Workbench {
  readonly raster: Raster;
  readonly history: History;
  /** Rises with every change of the labels. */
  readonly revision = signal(0);
  readonly view = signal<View>({ scale: 1, left: 0, top: 0 });
  /** Tile pixel under the pointer; null when it is elsewhere. */
  readonly pointer = signal<{ x: number; y: number } | null>(null);
  /** Labels the person says are complete when they submit. */
  readonly completeFor = signal<readonly number[]>([]);
  /** Which values may be painted over now. */
  readonly writable: ReadonlySignal<Writable>;
  readonly #listeners = new Set<(rect: Rect) => void>();

  constructor(
    readonly sheet: Sheet,
    restored?: { labels: Uint8Array; history?: Uint8Array | null },
  ) {
    const { w: width, h: height } = sheet.box;
    this.raster = { width, height, data: (restored?.labels ?? sheet.start).slice() };
    this.history = new History();
    if (restored?.history) this.history.restore(restored.history);
    this.completeFor.value = sheet.asked.map((label) => label.value);
    this.writable = computed(() => writable(guard.value, locked.value));
  }

  /** Take note of a change that is already in the raster; null means nothing changed. */
  done(change: Change | null): void {
    if (change === null) return;
    this.history.push(change);
    this.#announce(change.rect);
  }

  /** Tell the canvas that pixels changed within a stroke that is not finished. */
  touched(rect: Rect): void {
    for (const listener of this.#listeners) listener(rect);
  }

  undo(): void {
    this.#announce(this.history.undo(this.raster));
  }

  redo(): void {
    this.#announce(this.history.redo(this.raster));
  }

  /** Be told which pixels changed; returns how to stop. */
  onTouched(listener: (rect: Rect) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #announce(rect: Rect | null): void {
    if (rect === null) return;
    this.touched(rect);
    this.revision.value++;
  }
}
