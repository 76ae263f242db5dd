/**
 * Autosave of one tile: every finished stroke goes to this computer's journal at once and to the
 * server's draft a little later. Nothing is overwritten unseen: a draft that changed elsewhere
 * becomes a conflict to decide.
 */
import { effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { bytes, Problem } from "../../api/client";
import { replace } from "../../raster/apply";
import { complain } from "../../shell/toasts";
import type { Workbench } from "../workbench";
import { saving } from "./actions";
import { type Entry, keep, keepCopy, keepNow, type Steps } from "./journal";
import { fingerprint, freshKey, pack, same } from "./packing";
import type { Beginning, Version } from "./restore";
import { fetchDraft, fetchMask, versionOf } from "./sheet";

const JOURNAL_MS = 150;
const DRAFT_MS = 2000;
const DRAFT_AT_MOST_MS = 10_000;
const RETRY_MS = 60_000;
const ANSWER_MS = 15_000;
/** Steps beyond this are kept now and then only, lest keeping them slows the strokes. */
const MANY_STEP_BYTES = 2 * 1024 * 1024;
const MANY_STEPS_MS = 5000;
/** Browsers send no more than 64 KiB after the page is gone. */
const LAST_WORD_BYTES = 60 * 1024;

/** This page, among all that keep work in the same journal. */
const writer = freshKey();

/** Two versions of which one has to be chosen. */
export interface Conflict {
  readonly mine: Uint8Array;
  readonly theirs: Version;
}

export interface Autosave {
  readonly conflict: ReadonlySignal<Conflict | null>;
  /** Keep everything on the server now; resolves when it is there or cannot be for now. */
  save(): Promise<void>;
  /** Go on with one of two versions; the other one is set aside. */
  decide(choice: "mine" | "theirs"): Promise<void>;
  /** Send nothing more until `resume`; resolves when nothing is on its way. */
  hold(): Promise<void>;
  resume(): void;
  /** End; what is unsent stays in the journal. */
  stop(): Promise<void>;
}

/** Keep the work on a bench safe; `seconds` says how long the person worked on it. */
export function startAutosave(
  bench: Workbench,
  user: string,
  beginning: Pick<Beginning, "base" | "pending" | "stamp" | "rival">,
  seconds: () => number,
  flag: ReadonlySignal<string | null>,
): Autosave {
  const { task, asked } = bench.sheet;
  const conflict = signal<Conflict | null>(null);
  let base = beginning.base;
  let made = beginning.pending;
  let onServer = 0;
  let inJournal = -1;
  let labels = bench.raster.data.slice();
  let attempts: string[] = [];
  let tries = 0;
  let since = 0;
  let signedOut = false;
  let complained = "";
  let held = false;
  let ended = false;
  let sending: Promise<void> | null = null;
  let draftTimer: ReturnType<typeof setTimeout> | undefined;
  let journalTimer: ReturnType<typeof setTimeout> | undefined;
  let journal = Promise.resolve();
  let stepsAt = -Infinity;

  const show = () => {
    if (ended) return;
    const pending = made - onServer;
    const state = () => {
      if (conflict.peek()) return "conflict";
      if (signedOut) return "signed-out";
      if (tries > 0) return "offline";
      return pending > 0 || sending !== null ? "saving" : "saved";
    };
    saving.value = { state: state(), pending };
  };

  // --- the journal ---

  const entry = (): Omit<Entry, "labels" | "packed"> => ({
    user,
    task: task.id,
    writer,
    at: Date.now(),
    stamp: `${writer} ${made}`,
    completeFor: bench.completeFor.peek(),
    activeSeconds: seconds(),
    flag: flag.peek(),
    base,
    pending: made - onServer,
    attempts,
  });

  async function write(): Promise<void> {
    const number = made;
    const facts = entry();
    const many = bench.history.bytes > MANY_STEP_BYTES;
    const wait = stepsAt + MANY_STEPS_MS - performance.now();
    // taken in the same breath as `labels`: a stroke that is not finished is in neither
    const dump = many && wait > 0 ? null : bench.history.dump();
    if (dump === null) journalSoon(wait);
    else stepsAt = performance.now();
    try {
      const packed = await pack(labels);
      const steps: Steps | null = dump && {
        user,
        task: task.id,
        stamp: facts.stamp,
        labels: packed,
        dump,
      };
      await keep({ ...facts, labels: packed, packed: true }, steps, beginning.stamp);
      inJournal = Math.max(inJournal, number);
    } catch (problem) {
      // the server's draft still has it; the guard before leaving knows
      console.warn("The browser keeps no copy of the work on this computer.", problem);
    }
  }

  function writeNow(): Promise<void> {
    clearTimeout(journalTimer);
    journalTimer = undefined;
    journal = journal.then(write);
    return journal;
  }

  function journalSoon(wait = JOURNAL_MS): void {
    journalTimer ??= setTimeout(() => void writeNow(), wait);
  }

  // --- the draft ---

  const draftPath = () => {
    const query = new URLSearchParams({
      complete_for: bench.completeFor.peek().join(","),
      active_seconds: seconds().toFixed(1),
    });
    return `/api/v1/tasks/${task.id}/draft?${query}`;
  };

  function draftSoon(): void {
    if (held || ended || conflict.peek()) return;
    if (since === 0) since = performance.now();
    const latest = since + DRAFT_AT_MOST_MS - performance.now();
    clearTimeout(draftTimer);
    draftTimer = setTimeout(() => void send(), Math.max(0, Math.min(DRAFT_MS, latest)));
  }

  function retryLater(): void {
    const wait = Math.min(RETRY_MS, DRAFT_MS * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2);
    clearTimeout(draftTimer);
    if (!held && !ended) draftTimer = setTimeout(() => void send(), wait);
  }

  function send(): Promise<void> {
    clearTimeout(draftTimer);
    if (sending !== null) return sending;
    if (held || ended || conflict.peek() || made === onServer) return Promise.resolve();
    sending = sendOnce().finally(() => {
      sending = null;
      show();
    });
    show();
    return sending;
  }

  async function sendOnce(): Promise<void> {
    const number = made;
    const sent = labels;
    since = 0;
    attempts = [...attempts.slice(-7), fingerprint(sent)];
    // known before it is sent: an answer that is lost in a crash is then no conflict
    await writeNow();
    try {
      const answer = await bytes(draftPath(), {
        ...draftRequest(base, sent),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      base = versionOf(answer);
      onServer = Math.max(onServer, number);
      attempts = [];
      tries = 0;
      signedOut = false;
      complained = "";
      await writeNow();
      if (made > onServer) draftSoon();
    } catch (problem) {
      await failed(problem);
    }
  }

  async function failed(problem: unknown): Promise<void> {
    if (problem instanceof Problem && problem.status === 412) {
      try {
        return await meet();
      } catch (other) {
        // the other version could not be read: the same as any failure
        return failed(other);
      }
    }
    tries++;
    signedOut = problem instanceof Problem && problem.status === 401;
    if (problem instanceof Problem && !problem.offline && !signedOut) {
      if (complained !== problem.message) complain(problem);
      complained = problem.message;
    }
    retryLater();
  }

  /** Somebody saved another draft: find out whether it was us. */
  async function meet(): Promise<void> {
    const draft = await fetchDraft(task.id);
    const theirs: Version = draft ?? { ...(await fetchMask(task)), version: 0 };
    if (attempts.includes(fingerprint(theirs.labels)) || same(theirs.labels, labels)) {
      base = theirs.version;
      tries = 0;
      draftSoon();
    } else contest(theirs);
  }

  function contest(theirs: Version): void {
    clearTimeout(draftTimer);
    conflict.value = { mine: labels, theirs };
    show();
  }

  async function decide(choice: "mine" | "theirs"): Promise<void> {
    const found = conflict.peek();
    if (found === null) return;
    const { theirs } = found;
    const loser = choice === "mine" ? theirs.labels : labels;
    const packed = await pack(loser);
    const id = `conflict ${Date.now()}`;
    await keepCopy({ user, task: task.id, id, at: Date.now(), labels: packed, packed: true });
    base = theirs.version;
    attempts = [];
    tries = 0;
    conflict.value = null;
    if (choice === "theirs") {
      const { width: w, height: h } = bench.raster;
      const all = new Uint8Array(256).fill(1);
      const change = replace(bench.raster, theirs.labels, { x: 0, y: 0, w, h }, all);
      bench.completeFor.value = asked
        .map((label) => label.value)
        .filter((value) => theirs.version === 0 || theirs.completeFor.includes(value));
      bench.done(change);
      onServer = made;
    }
    await writeNow();
    show();
    await send();
  }

  // --- what sets it going ---

  function changed(): void {
    made++;
    labels = bench.raster.data.slice();
    journalSoon();
    draftSoon();
    show();
  }

  let isFirst = true;
  const unfollow = effect(() => {
    void bench.revision.value;
    void bench.completeFor.value;
    void flag.value;
    if (!isFirst) untracked(changed);
    isFirst = false;
  });

  const online = () => {
    if (made > onServer) void send();
  };
  const look = () => {
    if (!document.hidden || made === onServer) return;
    void writeNow();
    void send();
  };
  const away = () => {
    if (made > Math.max(inJournal, onServer)) keepNow({ ...entry(), labels, packed: false });
    if (made === onServer || held || conflict.peek() || labels.length > LAST_WORD_BYTES) return;
    const init = { ...draftRequest(base, labels), keepalive: true };
    void fetch(draftPath(), init).catch(() => undefined);
  };
  const ask = (event: BeforeUnloadEvent) => {
    if (made > Math.max(inJournal, onServer)) event.preventDefault();
  };
  addEventListener("online", online);
  addEventListener("pagehide", away);
  addEventListener("beforeunload", ask);
  document.addEventListener("visibilitychange", look);

  if (beginning.rival) contest(beginning.rival);
  else if (made > onServer) {
    journalSoon();
    draftSoon();
  }
  show();

  return {
    conflict,
    async save() {
      // who asks may have signed in again; what is under way may not know it yet
      signedOut = false;
      show();
      await writeNow();
      await sending;
      await send();
    },
    decide,
    async hold() {
      held = true;
      clearTimeout(draftTimer);
      await writeNow();
      await sending;
    },
    resume() {
      held = false;
      if (made > onServer) draftSoon();
    },
    async stop() {
      unfollow();
      clearTimeout(draftTimer);
      removeEventListener("online", online);
      removeEventListener("pagehide", away);
      removeEventListener("beforeunload", ask);
      document.removeEventListener("visibilitychange", look);
      held = true;
      if (made > inJournal) await writeNow();
      clearTimeout(journalTimer);
      await journal;
      await sending;
      ended = true;
    },
  };
}

function draftRequest(base: number, labels: Uint8Array): RequestInit {
  return {
    method: "PUT",
    headers: { "Content-Type": "application/octet-stream", "If-Match": `"${base}"` },
    body: labels as Uint8Array<ArrayBuffer>,
  };
}
