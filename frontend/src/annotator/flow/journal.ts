/** What this computer keeps of unsent work, in IndexedDB: it outlives crashes and lost logins. */

/** The labels of one person's tile after the last finished stroke. */
export interface Entry {
  readonly user: string;
  readonly task: string;
  /** The page that wrote it. */
  readonly writer: string;
  readonly at: number;
  /** Names the state of the labels; steps with the same name belong to it. */
  readonly stamp: string;
  readonly labels: Uint8Array;
  /** Whether `labels` are deflated. */
  readonly packed: boolean;
  readonly completeFor: readonly number[];
  readonly activeSeconds: number;
  readonly flag: string | null;
  /** Version of the server's draft it is based on; 0 when there was none. */
  readonly base: number;
  /** Edits the server does not have. */
  readonly pending: number;
  /** Fingerprints of what was sent and never answered. */
  readonly attempts: readonly string[];
}

/** Undo steps, with the labels they lead to. */
export interface Steps {
  readonly user: string;
  readonly task: string;
  readonly stamp: string;
  readonly labels: Uint8Array;
  readonly dump: Uint8Array;
}

/** A version that lost against another one; kept until the tile is done. */
export interface Copy {
  readonly user: string;
  readonly task: string;
  readonly id: string;
  readonly at: number;
  readonly labels: Uint8Array;
  readonly packed: boolean;
}

/** A finished tile on its way to the server. */
export interface Parcel {
  /** Its Idempotency-Key. */
  readonly key: string;
  readonly user: string;
  readonly project: string;
  readonly task: string;
  /** The query string it is sent with, the same at each try. */
  readonly query: string;
  readonly labels: Uint8Array;
  readonly at: number;
}

type Store = "tiles" | "steps" | "copies" | "parcels";
const KEEP_DAYS = 30;

let database: Promise<IDBDatabase> | null = null;
let opened: IDBDatabase | null = null;

function open(): Promise<IDBDatabase> {
  database ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open("cisterna", 1);
    request.onupgradeneeded = () => {
      const made = request.result;
      made.createObjectStore("tiles", { keyPath: ["user", "task"] });
      made.createObjectStore("steps", { keyPath: ["user", "task"] });
      made.createObjectStore("copies", { keyPath: ["user", "task", "id"] });
      made.createObjectStore("parcels", { keyPath: ["user", "key"] });
    };
    request.onsuccess = () => {
      opened = request.result;
      opened.onclose = close;
      opened.onversionchange = close;
      resolve(opened);
    };
    request.onerror = () => {
      database = null;
      reject(request.error);
    };
  });
  return database;
}

/** Let go of the database; the next use opens it again. */
export function close(): void {
  opened?.close();
  opened = null;
  database = null;
}

/** Run one transaction; `work` queues its requests, the promise waits until they are on disk. */
async function transact<T>(
  stores: readonly Store[],
  mode: IDBTransactionMode,
  work: (at: (store: Store) => IDBObjectStore) => { result: T } | void,
): Promise<T> {
  const db = await open();
  return new Promise<T>((resolve, reject) => {
    const transaction = db.transaction([...stores], mode);
    const asked = work((store) => transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asked?.result as T);
    transaction.onabort = () => reject(transaction.error ?? new Error("The browser kept nothing."));
  });
}

/** Everything of one task of one person. */
const ofTask = (user: string, task: string) => IDBKeyRange.bound([user, task], [user, task, []]);

/**
 * Keep an entry, and steps if given. Unsent work another page kept for the tile in the meantime
 * is set aside as a copy, unless it is the state `known` this page began from.
 */
export function keep(
  entry: Entry,
  steps: Steps | null,
  known: string | null = null,
): Promise<void> {
  return transact(["tiles", "steps", "copies"], "readwrite", (at) => {
    const found = at("tiles").get([entry.user, entry.task]);
    found.onsuccess = () => {
      const other = found.result as Entry | undefined;
      const isForeign = other?.writer !== entry.writer && other?.stamp !== known;
      if (other && isForeign && other.pending > 0) {
        const { user, task, labels, packed, writer } = other;
        at("copies").put({ user, task, id: writer, at: other.at, labels, packed } satisfies Copy);
      }
      at("tiles").put(entry);
    };
    if (steps) at("steps").put(steps);
  });
}

/** Keep an entry while the page goes away: no time to look or to wait. */
export function keepNow(entry: Entry): void {
  const transaction = opened?.transaction("tiles", "readwrite");
  transaction?.objectStore("tiles").put(entry);
  // nobody will be there to see the request succeed, which would commit it
  transaction?.commit();
}

/** What is kept of a tile; null for what is not. */
export async function recall(
  user: string,
  task: string,
): Promise<{ entry: Entry | null; steps: Steps | null }> {
  const both: { entry: Entry | null; steps: Steps | null } = { entry: null, steps: null };
  await transact<void>(["tiles", "steps"], "readonly", (at) => {
    const entry = at("tiles").get([user, task]);
    const steps = at("steps").get([user, task]);
    entry.onsuccess = () => (both.entry = (entry.result as Entry | undefined) ?? null);
    steps.onsuccess = () => (both.steps = (steps.result as Steps | undefined) ?? null);
  });
  return both;
}

/** Set a version aside until the tile is done. */
export function keepCopy(copy: Copy): Promise<void> {
  return transact(["copies"], "readwrite", (at) => {
    at("copies").put(copy);
  });
}

/** The versions set aside, newest first. */
export async function copiesOf(user: string, task: string): Promise<Copy[]> {
  const found = await transact(["copies"], "readonly", (at) =>
    at("copies").getAll(ofTask(user, task)) as IDBRequest<Copy[]>,
  );
  return found.sort((a, b) => b.at - a.at);
}

/** Forget a tile that is done, copies included. */
export function forget(user: string, task: string): Promise<void> {
  return transact(["tiles", "steps", "copies"], "readwrite", (at) => {
    for (const store of ["tiles", "steps", "copies"] as const) at(store).delete(ofTask(user, task));
  });
}

/** Forget what the server has had for a month. */
export function tidy(now = Date.now()): Promise<void> {
  return transact(["tiles", "steps"], "readwrite", (at) => {
    const request = at("tiles").openCursor();
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) return;
      const entry = cursor.value as Entry;
      if (entry.pending === 0 && now - entry.at > KEEP_DAYS * 86_400_000) {
        cursor.delete();
        at("steps").delete([entry.user, entry.task]);
      }
      cursor.continue();
    };
  });
}

/** Keep a finished tile until the server has it. */
export function keepParcel(parcel: Parcel): Promise<void> {
  return transact(["parcels"], "readwrite", (at) => {
    at("parcels").put(parcel);
  });
}

/** Forget a parcel that has arrived or was refused. */
export function dropParcel({ user, key }: Parcel): Promise<void> {
  return transact(["parcels"], "readwrite", (at) => {
    at("parcels").delete([user, key]);
  });
}

/** A person's parcels, oldest first. */
export async function parcelsOf(user: string): Promise<Parcel[]> {
  const found = await transact(["parcels"], "readonly", (at) =>
    at("parcels").getAll(IDBKeyRange.bound([user], [user, []])) as IDBRequest<Parcel[]>,
  );
  return found.sort((a, b) => a.at - b.at);
}
