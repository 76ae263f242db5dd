import type { Schemas } from "../../api/client";

/** What the states of a tile are called. */
export const STATES: Readonly<Record<Schemas["TileStateView"]["state"], string>> = {
  free: "not asked for",
  open: "in the queue",
  claimed: "in somebody’s hands",
  submitted: "waiting for review",
  returned: "sent back",
  skipped: "skipped",
  annotated: "annotated",
};
