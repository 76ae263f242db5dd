/** Undo and redo: packed steps within a budget of bytes, which outlive a reload as bytes. */
import { isSound, pack, putBytes, putNumber, replay, takeNumber } from "./patch";
import type { Patch, Sink, Source } from "./patch";
import type { Change, Raster, Rect } from "./types";

const BUDGET = 64 * 1024 * 1024;
const FORMAT = 0xc1;
/** What a step costs beside its code. */
const OVERHEAD = 128;

/** The steps of one tile. */
export class History {
  #steps: Patch[] = [];
  /** How many of the steps are done; those after them can be redone. */
  #done = 0;
  #bytes = 0;
  readonly #budget: number;

  /** An empty history that keeps at most `budget` bytes, oldest steps dropped first. */
  constructor(budget: number = BUDGET) {
    this.#budget = budget;
  }

  /** Whether there is a step to take back. */
  get canUndo(): boolean {
    return this.#done > 0;
  }

  /** Whether there is a step to do again. */
  get canRedo(): boolean {
    return this.#done < this.#steps.length;
  }

  /** How many steps can be taken back. */
  get depth(): number {
    return this.#done;
  }

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a step that has been done; what could be redone is forgotten. */
  push(change: Change): void {
    for (const dropped of this.#steps.splice(this.#done)) this.#bytes -= cost(dropped);
    const patch = pack(change);
    this.#steps.push(patch);
    this.#done++;
    this.#bytes += cost(patch);
    while (this.#bytes > this.#budget && this.#steps.length > 1) {
      const oldest = this.#steps.shift();
      if (oldest !== undefined) this.#bytes -= cost(oldest);
      this.#done--;
    }
  }

  /** Takes the last step back; returns the box to redraw, or null. */
  undo(raster: Raster): Rect | null {
    if (!this.canUndo) return null;
    const patch = this.#steps[this.#done - 1];
    replay(raster, patch, "before");
    this.#done--;
    return patch.rect;
  }

  /** Does the next step again; returns the box to redraw, or null. */
  redo(raster: Raster): Rect | null {
    if (!this.canRedo) return null;
    const patch = this.#steps[this.#done];
    replay(raster, patch, "after");
    this.#done++;
    return patch.rect;
  }

  /** Forgets all steps. */
  clear(): void {
    this.#steps = [];
    this.#done = 0;
    this.#bytes = 0;
  }

  /** Everything as bytes. */
  dump(): Uint8Array {
    const sink: Sink = { bytes: new Uint8Array(this.#bytes + 16), length: 0 };
    for (const number of [FORMAT, this.#steps.length, this.#done]) putNumber(sink, number);
    for (const { rect, code } of this.#steps) {
      for (const number of [rect.x, rect.y, rect.w, rect.h, code.length]) putNumber(sink, number);
      putBytes(sink, code);
    }
    return sink.bytes.slice(0, sink.length);
  }

  /** Takes over what `dump` gave; false, with an empty history, if the bytes are no dump. */
  restore(bytes: Uint8Array): boolean {
    this.clear();
    const read = parse(bytes);
    if (read === null) return false;
    this.#steps = read.steps;
    this.#done = read.done;
    this.#bytes = read.steps.reduce((sum, step) => sum + cost(step), 0);
    return true;
  }
}

function cost(patch: Patch): number {
  return patch.code.length + OVERHEAD;
}

function parse(bytes: Uint8Array): { steps: Patch[]; done: number } | null {
  const source: Source = { bytes, at: 0 };
  try {
    if (takeNumber(source) !== FORMAT) return null;
    const count = takeNumber(source);
    const done = takeNumber(source);
    const steps: Patch[] = [];
    for (let i = 0; i < count; i++) {
      const x = takeNumber(source);
      const y = takeNumber(source);
      const w = takeNumber(source);
      const h = takeNumber(source);
      const length = takeNumber(source);
      const code = bytes.slice(source.at, source.at + length);
      source.at += length;
      const patch = { rect: { x, y, w, h }, code };
      if (code.length !== length || !isSound(patch)) return null;
      steps.push(patch);
    }
    return source.at === bytes.length && done <= count ? { steps, done } : null;
  } catch {
    return null;
  }
}
