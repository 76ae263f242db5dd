/** Finished tiles on their way to the server: kept on this computer until they have arrived. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { bytes, Problem } from "../../api/client";
import { dropParcel, keepParcel, type Parcel, parcelsOf } from "./journal";
import { pack, unpack } from "./packing";

const RETRY_MS = 5000;
const RETRY_AT_MOST_MS = 60_000;
const ANSWER_MS = 60_000;

/** What became of a parcel. */
export type Outcome = "sent" | "late" | "waiting";

export interface Outbox {
  /** Parcels that have not arrived. */
  readonly waiting: ReadonlySignal<readonly Parcel[]>;
  /** Send a tile; a refusal throws its `Problem`, anything else is tried again by itself. */
  post(parcel: Omit<Parcel, "labels" | "at" | "user">, labels: Uint8Array): Promise<Outcome>;
  /** Try all parcels now. */
  retry(): Promise<void>;
  stop(): void;
}

/** What is to be done when a parcel that had to wait arrives or is refused. */
export interface Parties {
  arrived(parcel: Parcel, late: boolean): void;
  refused(parcel: Parcel, problem: Problem): void;
  signedOut(): void;
}

/** Open a person's outbox and send what is in it. */
export async function openOutbox(user: string, parties: Parties): Promise<Outbox> {
  const waiting = signal<readonly Parcel[]>(await parcelsOf(user).catch(() => []));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let tries = 0;
  let ended = false;
  let trying: Promise<void> | null = null;

  const drop = async (parcel: Parcel) => {
    waiting.value = waiting.value.filter((other) => other.key !== parcel.key);
    await dropParcel(parcel).catch(() => undefined);
  };

  function retryLater(): void {
    clearTimeout(timer);
    if (ended) return;
    const wait = Math.min(RETRY_AT_MOST_MS, RETRY_MS * 2 ** Math.min(tries++, 5));
    timer = setTimeout(() => void retry(), wait);
  }

  async function post(facts: Omit<Parcel, "labels" | "at" | "user">, labels: Uint8Array) {
    const parcel: Parcel = { ...facts, user, labels: await pack(labels), at: Date.now() };
    waiting.value = [...waiting.value, parcel];
    // without a journal it is still sent, and tried again as long as the page is open
    await keepParcel(parcel).catch(() => undefined);
    try {
      const late = await sendParcel(parcel, labels);
      await drop(parcel);
      return late ? "late" : "sent";
    } catch (problem) {
      if (problem instanceof Problem && isFinal(problem)) {
        await drop(parcel);
        throw problem;
      }
      if (problem instanceof Problem && problem.status === 401) parties.signedOut();
      retryLater();
      return "waiting";
    }
  }

  async function retryAll(): Promise<void> {
    clearTimeout(timer);
    for (const parcel of waiting.value) {
      if (ended) return;
      try {
        const late = await sendParcel(parcel, await unpack(parcel.labels));
        await drop(parcel);
        tries = 0;
        parties.arrived(parcel, late);
      } catch (problem) {
        if (problem instanceof Problem && isFinal(problem)) {
          await drop(parcel);
          parties.refused(parcel, problem);
          continue;
        }
        if (problem instanceof Problem && problem.status === 401) parties.signedOut();
        retryLater();
        return;
      }
    }
  }

  function retry(): Promise<void> {
    trying ??= retryAll().finally(() => (trying = null));
    return trying;
  }

  const online = () => void retry();
  addEventListener("online", online);
  if (waiting.value.length > 0) void retry();
  return {
    waiting,
    post,
    retry,
    stop() {
      ended = true;
      clearTimeout(timer);
      removeEventListener("online", online);
    },
  };
}

/** Send a parcel; true when it is kept as a late revision. Safe to repeat: its key is the same. */
async function sendParcel(parcel: Parcel, labels: Uint8Array): Promise<boolean> {
  const answer = await bytes(`/api/v1/tasks/${parcel.task}/annotations?${parcel.query}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", "Idempotency-Key": parcel.key },
    body: labels as Uint8Array<ArrayBuffer>,
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  // a repeated answer has lost its 202
  const { late } = (await answer.json()) as { late: boolean };
  return late;
}

/** Whether the same parcel would be refused again. */
function isFinal(problem: Problem): boolean {
  if (problem.offline || problem.status >= 500 || problem.status === 401) return false;
  // the first try may still be at work
  return !(problem.status === 409 && problem.kind === "conflict");
}
