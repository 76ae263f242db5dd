/** One worker for one kind of question; only the newest question counts. */
import type { Answers, Kind, Question, Reply } from "./answer";

/** Says that a newer question or the user made an answer needless. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

/** Starts a worker. */
export type Spawn = () => Worker;

/** Asks one kind of question. */
export interface Lane<K extends Kind> {
  ask(question: Extract<Question, { kind: K }>): Promise<Answers[K]>;
  cancel(): void;
  close(): void;
}

interface Waiting<K extends Kind> {
  readonly question: Question;
  readonly resolve: (value: Answers[K]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Makes a lane. A question that is no longer wanted is either stopped with its worker
 * ("stop") or left to finish and its answer thrown away ("finish").
 */
export function createLane<K extends Kind>(
  kind: K,
  spawn: Spawn,
  outdated: "stop" | "finish",
): Lane<K> {
  let worker: Worker | null = null;
  /** Whether the worker computes, wanted or not. */
  let busy = false;
  let running: Waiting<K> | null = null;
  let next: Waiting<K> | null = null;
  let closed = false;

  const stop = (): void => {
    worker?.terminate();
    worker = null;
    busy = false;
  };

  const settle = (finish: (waiting: Waiting<K>) => void): void => {
    const settled = running;
    running = null;
    busy = false;
    if (settled !== null) finish(settled);
    if (next !== null) send(next);
  };

  const start = (): Worker => {
    const fresh = spawn();
    fresh.onmessage = (event: MessageEvent<Reply>): void => {
      if (worker !== fresh) return;
      const { data } = event;
      settle(({ resolve, reject }) => {
        if (data.ok) resolve(data.value as Answers[K]);
        else reject(new Error(data.message));
      });
    };
    fresh.onerror = (event: ErrorEvent): void => {
      // else the browser also reports it as an error of the page
      event.preventDefault();
      if (worker !== fresh) return;
      stop();
      settle(({ reject }) => reject(new Error(`The ${kind} stopped unexpectedly; try again.`)));
    };
    return fresh;
  };

  const send = (waiting: Waiting<K>): void => {
    next = null;
    running = waiting;
    busy = true;
    const { question } = waiting;
    const buffers = [question.grey.buffer];
    if (question.kind === "watershed") buffers.push(question.seeds.buffer);
    try {
      worker ??= start();
      worker.postMessage(question, buffers as Transferable[]);
    } catch {
      stop();
      settle(({ reject }) => reject(new Error(`The ${kind} could not be started; try again.`)));
    }
  };

  const cancel = (): void => {
    for (const waiting of [running, next]) {
      waiting?.reject(new Cancelled(`The ${kind} is no longer wanted.`));
    }
    running = null;
    next = null;
    if (busy && outdated === "stop") stop();
  };

  return {
    ask: (question) => {
      if (closed) return Promise.reject(new Error(`The ${kind} has been closed.`));
      cancel();
      return new Promise((resolve, reject) => {
        const waiting = { question, resolve, reject };
        if (busy) next = waiting;
        else send(waiting);
      });
    },
    cancel,
    close: () => {
      cancel();
      stop();
      closed = true;
    },
  };
}
