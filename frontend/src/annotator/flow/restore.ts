/** Where work on a tile begins: what was kept here, the server's draft, or the tile's mask. */
import { History } from "../../raster/history";
import { replace } from "../../raster/apply";
import { type Entry, recall } from "./journal";
import { fingerprint, same, unpack } from "./packing";
import type { Ready } from "./sheet";

/** A version of the tile that work may go on from. */
export interface Version {
  readonly labels: Uint8Array;
  readonly completeFor: readonly number[];
  /** Version of the draft on the server; 0 when there is none. */
  readonly version: number;
}

/** How the bench is to be laid. */
export interface Beginning {
  readonly labels: Uint8Array;
  readonly history: Uint8Array | null;
  /** Labels said to be complete; null for all that are asked. */
  readonly completeFor: readonly number[] | null;
  readonly activeSeconds: number;
  readonly flag: string | null;
  readonly base: number;
  /** Edits the server does not have. */
  readonly pending: number;
  /** The state in the journal it was taken from. */
  readonly stamp: string | null;
  /** The server's version, when it is neither older nor newer than ours but another one. */
  readonly rival: Version | null;
}

/** Decide where to begin; `kept` is this computer's entry with its labels unpacked. */
export function choose(
  ready: Pick<Ready, "sheet" | "draft">,
  kept: (Entry & { history: Uint8Array | null }) | null,
): Beginning {
  const { sheet, draft } = ready;
  const base = draft?.version ?? 0;
  const plain: Beginning = {
    labels: draft?.labels ?? sheet.start,
    history: null,
    // a draft that says nothing of it came from a script
    completeFor: draft?.completeFor.length ? draft.completeFor : null,
    activeSeconds: draft?.activeSeconds ?? 0,
    flag: null,
    base,
    pending: 0,
    stamp: null,
    rival: null,
  };
  if (kept === null || kept.labels.length !== plain.labels.length) return plain;
  const mine: Beginning = {
    labels: kept.labels,
    history: kept.history,
    completeFor: kept.completeFor,
    activeSeconds: Math.max(kept.activeSeconds, plain.activeSeconds),
    flag: kept.flag,
    base,
    pending: kept.pending,
    stamp: kept.stamp,
    rival: null,
  };
  if (same(kept.labels, plain.labels)) return { ...mine, pending: draft === null ? kept.pending : 0 };
  // the server has what it had, or what was sent without an answer: ours is newer
  if (kept.base === base && kept.pending > 0) return mine;
  if (kept.pending > 0 && kept.attempts.includes(fingerprint(plain.labels))) return mine;
  if (kept.pending === 0) return plain;
  const rival = { labels: plain.labels, completeFor: plain.completeFor ?? [], version: base };
  return { ...mine, rival };
}

/** Look up what this computer kept of a tile and decide where to begin. */
export async function begin(user: string, ready: Ready): Promise<Beginning> {
  const { entry, steps } = await recall(user, ready.sheet.task.id).catch(() => ({
    entry: null,
    steps: null,
  }));
  if (entry === null) return choose(ready, null);
  const labels = entry.packed ? await unpack(entry.labels) : entry.labels;
  let history: Uint8Array | null = null;
  if (steps !== null) {
    const before = steps.stamp === entry.stamp ? labels : await unpack(steps.labels);
    history = caughtUp(steps.dump, before, labels, ready.sheet.box.w);
  }
  return choose(ready, { ...entry, labels, history });
}

/** Steps that lead to `before`, with one more that leads on to `labels`. */
function caughtUp(
  dump: Uint8Array,
  before: Uint8Array,
  labels: Uint8Array,
  width: number,
): Uint8Array | null {
  const history = new History();
  if (before.length !== labels.length || !history.restore(dump)) return null;
  if (before === labels) return dump;
  const height = labels.length / width;
  const raster = { width, height, data: before.slice() };
  const all = { x: 0, y: 0, w: width, h: height };
  const change = replace(raster, labels, all, new Uint8Array(256).fill(1));
  if (change) history.push(change);
  return history.dump();
}
