/** What a command is. */
import type { FlowActions } from "./flow/actions";
import type { IconName } from "./panels/icons";
import type { Workbench } from "./workbench";

/** What commands act on. */
export interface Context {
  readonly bench: Workbench;
  readonly flow: FlowActions;
}

/** The headings of the list, in its order. */
export const groups = [
  "Tools",
  "Brush",
  "Labels",
  "View",
  "Edit",
  "Pre-label",
  "Clean up",
  "Tile",
  "Help",
] as const;

/** One thing the page can do. */
export interface Command {
  readonly id: string;
  readonly title: string;
  readonly group: (typeof groups)[number];
  /** The usual keys, as `keyName` names them; the first is the one shown. */
  readonly keys: readonly string[];
  readonly run: (context: Context) => void;
  /** The picture and the word of its button, where it has one. */
  readonly button?: readonly [IconName, string];
  /** For keys that act while they are held: what happens when they are let go. */
  readonly release?: () => void;
  /** Whether a key held down goes on doing it. */
  readonly repeats?: boolean;
  /** Whether it works while one types: for keys a browser would use otherwise. */
  readonly anywhere?: boolean;
  /** For switches: whether it is on. */
  readonly pressed?: () => boolean;
}
