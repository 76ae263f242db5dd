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
  readonly resolve: (value: Answers[K]) => void;
  readonly reject: (error: Error) => void;
}

/** Makes a lane. A question that is no longer wanted is stopped with its worker. */
export function createLane<K extends Kind>(kind: K, spawn: Spawn): Lane<K> {
  let worker: Worker | null = null;
  let running: Waiting<K> | null = null;
  let closed = false;

  const stop = (): void => {
    worker?.terminate();
    worker = null;
  };

  const settle = (finish: (waiting: Waiting<K>) => void): void => {
    const settled = running;
    running = null;
    if (settled !== null) finish(settled);
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

  const send = (question: Question): void => {
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
    if (running !== null) stop();
    settle(({ reject }) => reject(new Cancelled(`The ${kind} is no longer wanted.`)));
  };

  return {
    ask: (question) => {
      if (closed) return Promise.reject(new Error(`The ${kind} has been closed.`));
      cancel();
      return new Promise((resolve, reject) => {
        running = { resolve, reject };
        send(question);
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
