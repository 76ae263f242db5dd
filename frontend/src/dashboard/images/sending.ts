/** Files on their way, one at a time; they go on while the person looks at other tabs. */
import { computed, effect, signal } from "@preact/signals";
import { Problem, type Schemas } from "../../api/client";
import { type FileMark, forget, markOf, recall, remember } from "./memory";
import { begin, giveUp, sendAll } from "./tus";

/** What is said of an image before it is uploaded, as the form holds it. */
export interface About {
  readonly name: string;
  readonly pixel_nm: string;
  readonly donor: string;
  readonly group: string;
  readonly split: Schemas["Split"];
}

/** A file on its way. */
export interface Transfer {
  readonly id: number;
  readonly mark: FileMark;
  readonly file: File;
  readonly about: About;
  readonly state: "waiting" | "sending" | "paused" | "failed" | "done";
  readonly sent: number;
  /** Why it does not go on. */
  readonly why: string | null;
}

/** All files on their way, in the order in which they were chosen. */
export const transfers = signal<readonly Transfer[]>([]);

/** Rises whenever the list of unfinished uploads in this browser's memory changes. */
export const memoryVersion = signal(0);

const stops = new Map<number, AbortController>();
let number = 0;

/** Put a file in the row; a file that is in it already goes on. */
export function add(project: string, file: File, about: About): void {
  const mark = markOf(project, file);
  const known = transfers.value.find((one) => one.state !== "done" && isSame(one.mark, mark));
  if (known) {
    resume(known.id);
    return;
  }
  const transfer: Transfer = { id: ++number, mark, file, about, state: "waiting", sent: 0, why: null };
  transfers.value = [...transfers.value, transfer];
  next();
}

/** Stop sending a file for a while. */
export function pause(id: number): void {
  set(id, { state: "paused", why: null });
  stops.get(id)?.abort(new DOMException("paused", "AbortError"));
}

/** Go on with a file that was paused or failed. */
export function resume(id: number): void {
  const transfer = find(id);
  if (transfer?.state !== "paused" && transfer?.state !== "failed") return;
  set(id, { state: "waiting", why: null });
  next();
}

/** Give a file up; what has arrived of it goes. */
export async function cancel(id: number): Promise<void> {
  const transfer = find(id);
  if (!transfer) return;
  pause(id);
  dismiss(id);
  const url = recall(transfer.mark);
  if (url !== null) await drop(transfer.mark, url);
}

/** Give up an unfinished upload that this browser remembers. */
export async function drop(mark: FileMark, url: string): Promise<void> {
  forget(mark);
  memoryVersion.value++;
  await giveUp(url).catch((problem: unknown) => {
    // gone already, or it expires by itself
    if (!(problem instanceof Problem)) throw problem;
  });
}

/** Take a file out of the row. */
export function dismiss(id: number): void {
  transfers.value = transfers.value.filter((one) => one.id !== id);
}

function next(): void {
  if (stops.size > 0) return;
  const transfer = transfers.value.find((one) => one.state === "waiting");
  if (transfer) void run(transfer);
}

async function run({ id, mark, file, about }: Transfer): Promise<void> {
  const stop = new AbortController();
  stops.set(id, stop);
  set(id, { state: "sending" });
  const known = recall(mark);
  try {
    const url = known ?? (await start(mark, about, stop.signal));
    const progress = (sent: number) => set(id, { sent });
    await sendAll(url, file, progress, (why) => set(id, { why }), stop.signal);
    forget(mark);
    set(id, { state: "done", sent: file.size, why: null });
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 404 && known !== null) {
      // it expired while the file was away: begin anew
      forget(mark);
      set(id, { state: "waiting", sent: 0 });
    } else if (!stop.signal.aborted) {
      set(id, { state: "failed", why: (problem as Error).message });
    }
  } finally {
    stops.delete(id);
    memoryVersion.value++;
    next();
  }
}

async function start(mark: FileMark, about: About, signal: AbortSignal): Promise<string> {
  const said = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== ""));
  const url = await begin(mark.project, mark.size, said, signal);
  remember(mark, url);
  return url;
}

function set(id: number, changes: Partial<Transfer>): void {
  transfers.value = transfers.value.map((one) => (one.id === id ? { ...one, ...changes } : one));
}

function find(id: number): Transfer | undefined {
  return transfers.value.find((one) => one.id === id);
}

function isSame(a: FileMark, b: FileMark): boolean {
  return a.project === b.project && a.name === b.name && a.size === b.size && a.modified === b.modified;
}

const busy = computed(() => transfers.value.some((one) => one.state === "sending"));
const ask = (event: BeforeUnloadEvent) => event.preventDefault();
effect(() => (busy.value ? addEventListener("beforeunload", ask) : removeEventListener("beforeunload", ask)));
