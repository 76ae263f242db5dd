import "fake-indexeddb/auto";
import { signal } from "@preact/signals";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { apply } from "../../raster/apply";
import { specimen } from "../specimen";
import { Workbench } from "../workbench";
import { saving } from "./actions";
import { type Autosave, startAutosave } from "./autosave";
import { close, copiesOf, keep, recall } from "./journal";
import { unpack } from "./packing";
import { begin } from "./restore";
import { serve, type TestServer, until } from "./server.specimen";
import { fetchDraft } from "./sheet";

const ME = "me";
const sheet = specimen(16, 4);
const task = sheet.task.id;
const started: Autosave[] = [];
let server: TestServer;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  close();
  indexedDB.deleteDatabase("cisterna");
  server = serve(256);
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Lay the tile as the page does when it is opened. */
async function lay() {
  const draft = await fetchDraft(task);
  const beginning = await begin(ME, { sheet, draft, startedFrom: [], pins: [] });
  const bench = new Workbench(sheet, beginning);
  const flag = signal(beginning.flag);
  const autosave = startAutosave(bench, ME, beginning, () => 7, flag);
  started.push(autosave);
  return { bench, autosave, beginning, flag };
}

function dab(bench: Workbench, x: number, value: number): void {
  const selection = { rect: { x, y: 2, w: 3, h: 3 }, bits: new Uint8Array(9).fill(1) };
  bench.done(apply(bench.raster, selection, value, new Uint8Array(256).fill(1)));
}

const kept = async () => (await recall(ME, task)).entry;

describe("a stroke", () => {
  test("is in the journal before it is on the server", async () => {
    const { bench } = await lay();
    dab(bench, 1, 2);
    expect(saving.value).toEqual({ state: "saving", pending: 1 });
    await until(async () => expect((await kept())?.pending).toBe(1));
    expect(server.puts).toHaveLength(0);
    expect(await unpack((await kept())!.labels)).toEqual(bench.raster.data);
    await until(() => expect(saving.value).toEqual({ state: "saved", pending: 0 }));
    expect(server.draft?.labels).toEqual(bench.raster.data);
    await until(async () => expect(await kept()).toMatchObject({ pending: 0, base: 1 }));
  });

  test("goes to the server with those that follow it", async () => {
    const { bench } = await lay();
    for (let x = 0; x < 12; x++) dab(bench, x, 1 + (x % 3));
    await until(() => expect(saving.value.state).toBe("saved"));
    expect(server.puts).toHaveLength(1);
  });

  test("is not waited for longer than ten seconds though painting goes on", async () => {
    const { bench } = await lay();
    for (let second = 0; second < 13; second++) {
      dab(bench, second, 1 + (second % 3));
      await vi.advanceTimersByTimeAsync(1000);
    }
    await until(() => expect(server.puts.length).toBeGreaterThan(0));
  });

  test("goes to the server at once when asked", async () => {
    const { bench, autosave } = await lay();
    dab(bench, 1, 2);
    await autosave.save();
    expect(server.draft?.labels).toEqual(bench.raster.data);
    expect(saving.value).toEqual({ state: "saved", pending: 0 });
  });
});

describe("without a server", () => {
  test("edits are counted, and sent when the connection is back", async () => {
    const { bench } = await lay();
    server.mood = "gone";
    dab(bench, 1, 2);
    dab(bench, 5, 3);
    await until(() => expect(saving.value).toEqual({ state: "offline", pending: 2 }));
    server.mood = "well";
    dispatchEvent(new Event("online"));
    await until(() => expect(saving.value).toEqual({ state: "saved", pending: 0 }));
    expect(server.draft?.labels).toEqual(bench.raster.data);
  });

  test("it is tried again by itself", async () => {
    const { bench } = await lay();
    server.mood = "gone";
    dab(bench, 1, 2);
    await until(() => expect(saving.value.state).toBe("offline"));
    server.mood = "well";
    await until(() => expect(saving.value.state).toBe("saved"));
  });

  test("an answer that is lost is no conflict with oneself", async () => {
    const { bench, autosave } = await lay();
    server.mood = "lost";
    dab(bench, 1, 2);
    await autosave.save();
    expect(server.draft?.version).toBe(1);
    dab(bench, 6, 1);
    server.mood = "well";
    await until(() => expect(saving.value).toEqual({ state: "saved", pending: 0 }));
    expect(autosave.conflict.value).toBeNull();
    expect(server.draft).toMatchObject({ version: 2, labels: bench.raster.data });
  });

  test("nor is it after a crash", async () => {
    const first = await lay();
    server.mood = "lost";
    dab(first.bench, 1, 2);
    await first.autosave.save();
    dab(first.bench, 6, 1);
    await first.autosave.stop();
    server.mood = "well";
    const { bench, autosave } = await lay();
    expect(autosave.conflict.value).toBeNull();
    expect(bench.raster.data).toEqual(first.bench.raster.data);
    await until(() => expect(server.draft).toMatchObject({ version: 2, labels: bench.raster.data }));
  });

  test("a lost sign-in keeps everything and goes on after signing in", async () => {
    const { bench, autosave } = await lay();
    server.mood = "signed-out";
    dab(bench, 1, 2);
    await autosave.save();
    expect(saving.value).toEqual({ state: "signed-out", pending: 1 });
    expect((await kept())?.pending).toBe(1);
    server.mood = "well";
    await autosave.save();
    expect(saving.value).toEqual({ state: "saved", pending: 0 });
  });
});

describe("after a crash", () => {
  test("labels, steps, flag and completeness are as they were", async () => {
    const before = await lay();
    server.mood = "gone";
    dab(before.bench, 1, 2);
    dab(before.bench, 8, 3);
    before.bench.completeFor.value = [2, 3];
    before.flag.value = "look";
    await until(async () => expect((await kept())?.flag).toBe("look"));
    server.mood = "well";
    const { bench, beginning } = await lay();
    expect(bench.raster.data).toEqual(before.bench.raster.data);
    expect(beginning).toMatchObject({ completeFor: [2, 3], flag: "look", activeSeconds: 7 });
    bench.undo();
    bench.undo();
    expect(bench.raster.data).toEqual(sheet.start);
    expect(await copiesOf(ME, task)).toHaveLength(0);
  });

  test("steps that are older than the labels are caught up by one more", async () => {
    const before = await lay();
    dab(before.bench, 1, 2);
    await until(async () => expect((await recall(ME, task)).steps).not.toBeNull());
    const steps = (await recall(ME, task)).steps;
    dab(before.bench, 8, 3);
    const { bench } = before;
    await until(async () => expect(await unpack((await kept())!.labels)).toEqual(bench.raster.data));
    await keep((await kept())!, steps);
    const after = await lay();
    expect(after.bench.raster.data).toEqual(bench.raster.data);
    expect(after.bench.history.depth).toBe(2);
    after.bench.undo();
    after.bench.undo();
    expect(after.bench.raster.data).toEqual(sheet.start);
  });

  test("a tile the server has keeps its steps", async () => {
    const before = await lay();
    dab(before.bench, 1, 2);
    await before.autosave.save();
    await before.autosave.stop();
    const { bench, beginning } = await lay();
    expect(beginning.pending).toBe(0);
    bench.undo();
    expect(bench.raster.data).toEqual(sheet.start);
  });

  test("work of another computer is taken over when nothing is unsent here", async () => {
    const before = await lay();
    dab(before.bench, 1, 2);
    await before.autosave.save();
    await before.autosave.stop();
    const labels = new Uint8Array(256).fill(3);
    server.draft = { version: 2, labels, completeFor: "1,2,3" };
    const { bench, autosave } = await lay();
    expect(bench.raster.data).toEqual(labels);
    expect(autosave.conflict.value).toBeNull();
  });
});

describe("when somebody else changed the draft", () => {
  const theirs = new Uint8Array(256).fill(3);

  async function contest() {
    const { bench, autosave } = await lay();
    server.draft = { version: 1, labels: theirs, completeFor: "1,2,3" };
    dab(bench, 1, 2);
    await autosave.save();
    expect(saving.value.state).toBe("conflict");
    expect(autosave.conflict.value?.theirs.labels).toEqual(theirs);
    expect(server.puts).toHaveLength(0);
    return { bench, autosave };
  }

  test("nothing is sent until it is decided, and painting goes on", async () => {
    const { bench } = await contest();
    dab(bench, 8, 1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.draft?.labels).toEqual(theirs);
    await until(async () => expect(await unpack((await kept())!.labels)).toEqual(bench.raster.data));
  });

  test("mine is sent and theirs is set aside", async () => {
    const { bench, autosave } = await contest();
    await autosave.decide("mine");
    expect(server.draft).toMatchObject({ version: 2, labels: bench.raster.data });
    expect(saving.value).toEqual({ state: "saved", pending: 0 });
    const [copy] = await copiesOf(ME, task);
    expect(await unpack(copy.labels)).toEqual(theirs);
  });

  test("theirs is taken as a step one can undo, and mine is set aside", async () => {
    const { bench, autosave } = await contest();
    const mine = bench.raster.data.slice();
    await autosave.decide("theirs");
    expect(bench.raster.data).toEqual(theirs);
    expect(saving.value).toEqual({ state: "saved", pending: 0 });
    const [copy] = await copiesOf(ME, task);
    expect(await unpack(copy.labels)).toEqual(mine);
    bench.undo();
    expect(bench.raster.data).toEqual(mine);
  });

  test("a draft that is gone means the tile was sent elsewhere", async () => {
    const { bench, autosave } = await lay();
    dab(bench, 1, 2);
    await autosave.save();
    server.draft = null;
    server.mask = theirs;
    dab(bench, 5, 1);
    await autosave.save();
    expect(autosave.conflict.value?.theirs).toMatchObject({ version: 0, labels: theirs });
    await autosave.decide("mine");
    expect(server.draft).toMatchObject({ labels: bench.raster.data });
  });

  test("it is found when the tile is opened again", async () => {
    const before = await lay();
    server.mood = "gone";
    dab(before.bench, 1, 2);
    await before.autosave.stop();
    server.mood = "well";
    server.draft = { version: 4, labels: theirs, completeFor: "" };
    const { bench, autosave } = await lay();
    expect(autosave.conflict.value?.theirs.version).toBe(4);
    expect(bench.raster.data).toEqual(before.bench.raster.data);
  });
});

test("a second page that paints the same tile loses nothing of the first", async () => {
  const { bench } = await lay();
  server.mood = "gone";
  dab(bench, 1, 2);
  await until(async () => expect((await kept())?.pending).toBe(1));
  const entry = (await kept())!;
  // another page that began before that stroke
  await keep({ ...entry, writer: "other", stamp: "other 1" }, null, null);
  expect((await copiesOf(ME, task)).map((copy) => copy.id)).toEqual([entry.writer]);
});

test("before leaving one is asked only for what is kept nowhere", async () => {
  const { bench } = await lay();
  const leave = () => {
    const event = new Event("beforeunload", { cancelable: true });
    dispatchEvent(event);
    return event.defaultPrevented;
  };
  expect(leave()).toBe(false);
  server.mood = "gone";
  dab(bench, 1, 2);
  expect(leave()).toBe(true);
  await until(async () => expect((await kept())?.pending).toBe(1));
  await until(() => expect(leave()).toBe(false));
});

test("a page that goes away leaves its last stroke in the journal", async () => {
  const { bench } = await lay();
  await recall(ME, task);
  server.mood = "gone";
  dab(bench, 1, 2);
  dispatchEvent(new Event("pagehide"));
  const entry = await kept();
  expect(entry).toMatchObject({ packed: false, pending: 1 });
  expect(entry?.labels).toEqual(bench.raster.data);
});
