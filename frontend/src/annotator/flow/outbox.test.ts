import "fake-indexeddb/auto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Problem } from "../../api/client";
import { close, parcelsOf } from "./journal";
import { openOutbox, type Outbox } from "./outbox";
import { serve, type TestServer, until } from "./server.specimen";

const labels = Uint8Array.from({ length: 64 }, (_, i) => i % 4);
const facts = { key: "k1", project: "liver", task: "t1", query: "complete_for=1,2&flag=look" };
let server: TestServer;
let box: Outbox;
const arrived = vi.fn();
const refused = vi.fn();
const signedOut = vi.fn();
const open = async () => (box = await openOutbox("me", { arrived, refused, signedOut }));

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  vi.clearAllMocks();
  close();
  indexedDB.deleteDatabase("cisterna");
  server = serve(64);
  await open();
});
afterEach(() => {
  box.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a tile arrives byte for byte with what is said of it", async () => {
  expect(await box.post(facts, labels)).toBe("sent");
  const got = server.annotations.get("k1");
  expect(got?.labels).toEqual(labels);
  expect(got?.query.get("flag")).toBe("look");
  expect(await parcelsOf("me")).toEqual([]);
});

test("late is said", async () => {
  server.late = true;
  expect(await box.post(facts, labels)).toBe("late");
});

test("without a connection it waits and arrives once, by itself", async () => {
  server.mood = "lost";
  expect(await box.post(facts, labels)).toBe("waiting");
  expect(box.waiting.value).toHaveLength(1);
  server.mood = "well";
  await until(() => expect(arrived).toHaveBeenCalledOnce());
  expect(server.annotations.size).toBe(1);
  expect(box.waiting.value).toEqual([]);
});

test("it outlives the page", async () => {
  server.mood = "gone";
  await box.post(facts, labels);
  box.stop();
  server.mood = "well";
  await open();
  await until(() => expect(arrived).toHaveBeenCalledOnce());
  expect(server.annotations.get("k1")?.labels).toEqual(labels);
});

test("a refusal is thrown at once and nothing is kept", async () => {
  server.refusal = { status: 409, type: "lease-never-held" };
  await expect(box.post(facts, labels)).rejects.toBeInstanceOf(Problem);
  expect(await parcelsOf("me")).toEqual([]);
});

test("a first try that is still at work is no refusal", async () => {
  server.refusal = { status: 409, type: "conflict" };
  expect(await box.post(facts, labels)).toBe("waiting");
  server.refusal = null;
  await until(() => expect(arrived).toHaveBeenCalledOnce());
});

test("a refusal that comes later is told", async () => {
  server.mood = "gone";
  await box.post(facts, labels);
  server.mood = "well";
  server.refusal = { status: 422, type: "invalid" };
  await until(() => expect(refused).toHaveBeenCalledOnce());
  expect(box.waiting.value).toEqual([]);
});

test("who is signed out keeps the tile and is told", async () => {
  server.mood = "signed-out";
  expect(await box.post(facts, labels)).toBe("waiting");
  expect(signedOut).toHaveBeenCalledOnce();
  server.mood = "well";
  await box.retry();
  expect(arrived).toHaveBeenCalledOnce();
});
