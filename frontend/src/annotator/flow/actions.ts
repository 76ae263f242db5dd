/** What the flow of tiles offers to keys, buttons and the status bar. */
import { signal } from "@preact/signals";

/** What a person does with the tile as a whole. */
export interface FlowActions {
  /** Check the tile, send it, and show the next one. */
  submit(): void;
  /** Set the tile aside with a reason. */
  skip(): void;
  /** Keep the work on the server now. */
  save(): void;
  /** Ask others to look at something when the tile is sent. */
  flag(): void;
  /** Give the tile back to the queue. */
  release(): void;
}

/** Where the work on this tile stands. */
export interface Saving {
  readonly state: "saved" | "saving" | "offline" | "conflict" | "signed-out" | "practice";
  /** Edits that are on this computer only. */
  readonly pending: number;
}

/** Where the work on this tile stands; edits are kept on this computer in every state. */
export const saving = signal<Saving>({ state: "saved", pending: 0 });

/** A remark on the tile, at one of its pixels or about all of it. */
export interface Pin {
  readonly id: string;
  readonly author: string;
  readonly text: string;
  readonly x: number | null;
  readonly y: number | null;
}

/** What others said of this tile and nobody has marked as done. */
export const pins = signal<readonly Pin[]>([]);
