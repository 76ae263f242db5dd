/** One person at a project's tiles: the tile at hand, the next one, and what ends them. */
import { batch, computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { api, fetchProject, Problem, type Project, type Task } from "../../api/client";
import type { Finding } from "../../raster/lint";
import { watch } from "../../shell/events";
import { go, query, setQuery } from "../../shell/router";
import { complain, tell } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import { shownLabels, uncertainty } from "../settings";
import { Workbench } from "../workbench";
import { type FlowActions, pins, saving } from "./actions";
import { type ActiveClock, startActive } from "./active";
import { type Autosave, startAutosave } from "./autosave";
import { compare, type Compared } from "./compare";
import { forget, type Parcel, tidy } from "./journal";
import { makeLarder } from "./larder";
import { claim, keepLeases } from "./lease";
import { makeLocks } from "./locks";
import { openOutbox, type Outbox } from "./outbox";
import { freshKey } from "./packing";
import { begin } from "./restore";
import { type Images, knowImages } from "./sheet";
import { lookForSlips, type Slips } from "./slips";
import { namedView, nameOfView } from "./viewname";

const LOOK_MS = 1000;

/** The tile at hand and everything that keeps it. */
export interface Work {
  readonly bench: Workbench;
  readonly autosave: Autosave;
  readonly clock: ActiveClock;
  readonly slips: Slips;
}

export interface Desk {
  readonly work: ReadonlySignal<Work | null>;
  /** Why there is no tile. */
  readonly why: ReadonlySignal<string | null>;
  readonly problem: ReadonlySignal<Error | null>;
  /** Whether others may have the tile now. */
  readonly lapsed: ReadonlySignal<boolean>;
  /** Whether the tile is being sent. */
  readonly busy: ReadonlySignal<boolean>;
  readonly signedOut: ReadonlySignal<boolean>;
  /** Sent tiles that have not arrived. */
  readonly waiting: ReadonlySignal<readonly Parcel[]>;
  /** What others shall look at; goes with the tile. */
  readonly flag: ReadonlySignal<string | null>;
  readonly dialog: ReadonlySignal<"skip" | "flag" | null>;
  /** How the tile that was sent last compares with the truth, if it was a check. */
  readonly compared: Signal<Compared | null>;
  /** What may be a slip, when the person wants to send the tile. */
  readonly findings: ReadonlySignal<readonly Finding[] | null>;
  readonly actions: FlowActions;
  send(): Promise<void>;
  skip(reason: string): Promise<void>;
  setFlag(text: string | null): void;
  closeDialog(): void;
  /** Go on after signing in. */
  welcome(): void;
  /** Ask for tiles again. */
  look(): Promise<void>;
  /** Get up; what is not sent yet is kept when this ends. */
  close(): Promise<void>;
}

/** What a desk is for. */
export interface Errand {
  readonly slug: string;
  /** The person's id. */
  readonly me: string;
  /** A review is mended on the same desk, one tile at a time. */
  readonly kind: Task["kind"];
  /** Called when a review is done. */
  readonly done: () => void;
}

/** Sit down at a project's queue. */
export function sitDown({ slug, me, kind, done }: Errand): Desk {
  const work = signal<Work | null>(null);
  const why = signal<string | null>(null);
  const problem = signal<Error | null>(null);
  const lapsed = signal(false);
  const busy = signal(false);
  const signedOut = signal(false);
  const waiting = signal<readonly Parcel[]>([]);
  const flag = signal<string | null>(null);
  const dialog = signal<"skip" | "flag" | null>(null);
  const compared = signal<Compared | null>(null);
  const findings = signal<readonly Finding[] | null>(null);

  const images: Images = new Map();
  const larder = makeLarder(images, me);
  let project: Project | null = null;
  let next: readonly Task[] = [];
  let outbox: Outbox | null = null;
  let looking: Promise<void> | null = null;
  let lookTimer: ReturnType<typeof setTimeout> | undefined;
  const locks = makeLocks();
  let closed = false;
  /** Counts the tiles that were ended: a claim from before says what is no longer so. */
  let turn = 0;
  const current = () => work.peek()?.bench.sheet.task.id ?? null;

  const leases = keepLeases({
    held: () => [current(), ...next.map((task) => task.id)].filter((id) => id !== null),
    idle: () => work.peek()?.clock.idle() ?? 0,
    lapsed: (task) => {
      next = next.filter((other) => other.id !== task);
      // nobody may have taken it yet
      void look();
    },
  });

  // --- getting tiles ---

  /** Claim until there are a tile and a next one; open a tile if there is none on the bench. */
  async function lookOnce(): Promise<void> {
    const asked = turn;
    try {
      const [claimed, found] = await Promise.all([
        claim(slug, kind),
        project ?? fetchProject(slug),
        images.size > 0 ? null : knowImages(slug, images).catch(() => null),
      ]);
      if (closed) return;
      if (asked !== turn) return await lookOnce();
      project = found;
      leases.beat(claimed.lease);
      const sent = new Set(outbox?.waiting.peek().map((parcel) => parcel.task));
      const tasks = claimed.tasks.filter((task) => !sent.has(task.id));
      const now = current();
      next = tasks.filter((task) => task.id !== now);
      batch(() => {
        lapsed.value = now !== null && next.length === tasks.length;
        why.value = tasks.length > 0 ? null : (claimed.why ?? ON_ITS_WAY);
        problem.value = null;
        signedOut.value = false;
      });
      larder.keepOnly(next);
      if (now === null && next.length > 0) await open(wanted(next), found);
      // while one paints the next one comes
      if (next[0]) larder.take(next[0], found).catch(() => undefined);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) signedOut.value = true;
      problem.value = error as Error;
    }
  }

  function look(): Promise<void> {
    looking ??= lookOnce().finally(() => (looking = null));
    return looking;
  }

  /** The task the address names, if it is one of ours. */
  function wanted(tasks: readonly Task[]): Task {
    const named = query.peek().get("tile");
    return tasks.find((task) => task.id === named) ?? tasks[0];
  }

  async function open(task: Task, at: Project): Promise<void> {
    const fetched = await larder.take(task, at);
    const beginning = await begin(me, fetched);
    if (closed) return;
    next = next.filter((other) => other.id !== task.id);
    larder.keepOnly(next);
    const { sheet, startedFrom } = fetched;
    const bench = new Workbench(sheet, beginning);
    // a link's view is of the tile it names, and there may be another one by now
    const named = query.peek().get("tile");
    const view = named === null || named === task.id ? namedView(query.peek().get("view")) : null;
    if (view) bench.view.value = view;
    // who mends a revision says no more of it than its author, unless they mean to
    const said = beginning.completeFor ?? (kind === "review" ? startedFrom : null);
    if (said !== null) {
      bench.completeFor.value = bench.completeFor.value.filter((value) => said.includes(value));
    }
    const clock = startActive(beginning.activeSeconds);
    batch(() => {
      flag.value = beginning.flag;
      pins.value = fetched.pins;
      lapsed.value = false;
      problem.value = null;
      locks.lay(sheet, work.peek() === null);
      // no tile is first seen through the model's eyes
      uncertainty.value = { ...uncertainty.peek(), visible: false };
      shownLabels.value = "mine";
      const autosave = startAutosave(bench, me, beginning, clock.seconds, flag);
      const slips = lookForSlips(bench, clock.seconds);
      work.value = { bench, autosave, clock, slips };
    });
    setQuery({ tile: task.id, view: view && nameOfView(view) });
  }

  /** Leave the tile at hand and go on to the next one. */
  async function goOn(): Promise<void> {
    const left = work.peek();
    left?.clock.stop();
    left?.slips.stop();
    await left?.autosave.stop();
    if (kind === "review") return done();
    turn++;
    if (next[0] && project) {
      try {
        await open(next[0], project);
      } catch (error) {
        work.value = null;
        problem.value = error as Error;
      }
    } else {
      work.value = null;
      pins.value = [];
      saving.value = { state: "saved", pending: 0 };
    }
    const claiming = look();
    if (work.peek() === null) await claiming;
  }

  // --- what ends a tile ---

  /** Run something that ends the tile; if it fails the person goes on where they were. */
  async function finish(act: (now: Work, task: Task) => Promise<void>): Promise<void> {
    const now = work.peek();
    if (now === null || busy.peek()) return;
    busy.value = true;
    try {
      await act(now, now.bench.sheet.task);
      await goOn();
    } catch (error) {
      now.autosave.resume();
      if (error instanceof Problem && error.status === 401) signedOut.value = true;
      else complain(error);
    } finally {
      busy.value = false;
    }
  }

  /** Let nothing of the tile be under way; two versions have to be one first. */
  async function settle(autosave: Autosave): Promise<void> {
    await autosave.hold();
    if (autosave.conflict.peek()) throw new Error("Choose one of the two versions first.");
  }

  let checking = false;
  async function submit(): Promise<void> {
    const now = work.peek();
    if (now === null || busy.peek() || checking) return;
    checking = true;
    const found = await now.slips.findings();
    checking = false;
    if (work.peek() !== now) return;
    if (found.length > 0) findings.value = found;
    else await send();
  }

  function send(): Promise<void> {
    findings.value = null;
    return finish(async ({ bench, autosave, clock }, task) => {
      const { sheet } = bench;
      // an ER pass over a nucleus pass: what was complete before and is locked now stays so
      const complete = [...sheet.before, ...bench.completeFor.peek()].sort((a, b) => a - b);
      const facts = new URLSearchParams({
        complete_for: complete.join(","),
        active_seconds: clock.seconds().toFixed(1),
      });
      if (sheet.prelabel && task.prediction_id) facts.set("prediction_id", task.prediction_id);
      const remark = flag.peek();
      if (remark) facts.set("flag", remark);
      await settle(autosave);
      const parcel = { key: freshKey(), project: slug, task: task.id, query: facts.toString() };
      const outcome = await (outbox as Outbox).post(parcel, bench.raster.data.slice());
      if (outcome === "waiting") {
        tell("The tile is kept on this computer and sent as soon as the server answers.");
        return;
      }
      if (outcome === "late") tell(LATE);
      else void compare(bench).then((found) => found && (compared.value = found));
      await autosave.stop();
      await forget(me, task.id).catch(() => undefined);
    });
  }

  function skip(reason: string): Promise<void> {
    dialog.value = null;
    return finish(async ({ autosave }, task) => {
      await autosave.save();
      await settle(autosave);
      await api.POST("/api/v1/tasks/{task}/skip", {
        params: { path: { task: task.id } },
        body: { reason },
      });
    });
  }

  async function release(): Promise<void> {
    const now = work.peek();
    if (now === null) return;
    const text =
      "Others can take them at once. What you painted is kept, and shown again if you get them back.";
    if (!(await confirm("Give your tiles back?", text, "Give back"))) return;
    try {
      await now.autosave.save();
      for (const task of [now.bench.sheet.task, ...next]) {
        await api.POST("/api/v1/tasks/{task}/release", { params: { path: { task: task.id } } });
      }
      go(`/projects/${slug}`);
    } catch (error) {
      complain(error);
    }
  }

  // --- what happens elsewhere ---

  const unwatch = watch(slug, () => {
    if (work.peek() !== null && next.length > 0) return;
    if (kind === "review" && work.peek() !== null) return;
    // several changes come together
    lookTimer ??= setTimeout(() => {
      lookTimer = undefined;
      void look();
    }, LOOK_MS);
  });
  const refused = computed(() => saving.value.state === "signed-out");
  const unfollow = effect(() => void (signedOut.value = refused.value));
  const online = () => {
    if (problem.peek()) void look();
  };
  addEventListener("online", online);

  async function start(): Promise<void> {
    const opened = await openOutbox(me, {
      arrived(parcel, late) {
        tell(late ? LATE : "A tile that waited on this computer has arrived.");
        void forget(me, parcel.task).catch(() => undefined);
        if (next.length === 0) void look();
      },
      refused: (_, { message }) => complain(new Error(`A tile was not accepted: ${message}`)),
      signedOut: () => (signedOut.value = true),
    });
    if (closed) return opened.stop();
    outbox = opened;
    stopWaiting = effect(() => void (waiting.value = opened.waiting.value));
    await look();
    await tidy().catch(() => undefined);
  }
  let stopWaiting = () => {};
  void start();

  return {
    work,
    why,
    problem,
    lapsed,
    busy,
    signedOut,
    waiting,
    flag,
    dialog,
    compared,
    findings,
    actions: {
      submit: () => void submit(),
      // a review that is set aside would be nobody's: it goes back to the other reviewers
      skip: () => void (kind === "review" ? release() : (dialog.value = "skip")),
      save: () => void work.peek()?.autosave.save(),
      flag: () => void (dialog.value = "flag"),
      release: () => void release(),
    },
    send,
    skip,
    setFlag(text) {
      flag.value = text;
      dialog.value = null;
    },
    closeDialog() {
      dialog.value = null;
      findings.value = null;
    },
    welcome() {
      signedOut.value = false;
      const task = current();
      if (task) setQuery({ tile: task });
      void work.peek()?.autosave.save();
      void outbox?.retry();
      void look();
    },
    look,
    async close() {
      closed = true;
      unwatch();
      unfollow();
      stopWaiting();
      clearTimeout(lookTimer);
      removeEventListener("online", online);
      leases.stop();
      outbox?.stop();
      locks.leave();
      const left = work.peek();
      left?.clock.stop();
      left?.slips.stop();
      await left?.autosave.save().finally(() => left.autosave.stop());
    },
  };
}

const ON_ITS_WAY = "Your tiles are on their way to the server; more follow when they have arrived.";
const LATE =
  "Your lease had ended, so this is kept as a late revision: it counts if nobody else's does.";
