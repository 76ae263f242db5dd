import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Problem } from "../../api/client";
import { markOf, recall, remember, unfinished } from "./memory";
import { add, cancel, pause, resume, transfers } from "./sending";
import * as tus from "./tus";

const ABOUT = { name: "a.tif", pixel_nm: "4.6", donor: "", group: "", split: "pool" } as const;
const file = (name: string, size = 10) => new File([new Uint8Array(size)], name, { lastModified: 7 });

/** How each sending ends, by the address it goes to. */
let ends: Map<string, { resolve: (image: string) => void; reject: (why: unknown) => void }>;
let begun: Record<string, string>[];
let gone: string[];

beforeEach(() => {
  localStorage.clear();
  transfers.value = [];
  ends = new Map();
  begun = [];
  gone = [];
  vi.spyOn(tus, "begin").mockImplementation(async (_project, _size, about) => {
    begun.push({ ...about });
    return `/api/v1/uploads/${begun.length}`;
  });
  vi.spyOn(tus, "giveUp").mockImplementation(async (url) => void gone.push(url));
  vi.spyOn(tus, "sendAll").mockImplementation(
    (url, _file, _progress, _trouble, signal) =>
      new Promise((resolve, reject) => {
        ends.set(url, { resolve, reject });
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      }),
  );
});
afterEach(() => vi.restoreAllMocks());

const states = () => transfers.value.map((one) => one.state);
const settled = () => new Promise((resolve) => setTimeout(resolve));

test("files go one after the other, with what is said of them", async () => {
  add("liver", file("a.tif"), ABOUT);
  add("liver", file("b.tif"), { ...ABOUT, name: "b.tif" });
  await settled();
  expect(states()).toEqual(["sending", "waiting"]);
  expect(begun).toEqual([{ name: "a.tif", pixel_nm: "4.6", split: "pool" }]);
  ends.get("/api/v1/uploads/1")?.resolve("/api/v1/images/1");
  await settled();
  expect(states()).toEqual(["done", "sending"]);
  expect(unfinished("liver").map((one) => one.name)).toEqual(["b.tif"]);
  ends.get("/api/v1/uploads/2")?.resolve("/api/v1/images/2");
  await settled();
  expect(states()).toEqual(["done", "done"]);
  expect(unfinished("liver")).toEqual([]);
});

test("a file that is chosen again after a reload goes on where it was", async () => {
  remember(markOf("liver", file("a.tif")), "/api/v1/uploads/old");
  expect(unfinished("liver")[0]).toMatchObject({ name: "a.tif", size: 10, url: "/api/v1/uploads/old" });
  expect(unfinished("kidney")).toEqual([]);
  add("liver", file("a.tif", 11), ABOUT);
  await settled();
  expect(begun.length).toBe(1);
  ends.get("/api/v1/uploads/1")?.resolve("/api/v1/images/1");
  add("liver", file("a.tif"), ABOUT);
  await settled();
  expect(begun.length).toBe(1);
  ends.get("/api/v1/uploads/old")?.resolve("/api/v1/images/2");
  await settled();
  expect(states()).toEqual(["done", "done"]);
});

test("one that expired meanwhile begins anew, once", async () => {
  remember(markOf("liver", file("a.tif")), "/api/v1/uploads/old");
  add("liver", file("a.tif"), ABOUT);
  await settled();
  ends.get("/api/v1/uploads/old")?.reject(new Problem(404, "Gone."));
  await settled();
  expect(states()).toEqual(["sending"]);
  ends.get("/api/v1/uploads/1")?.reject(new Problem(404, "Gone."));
  await settled();
  expect(states()).toEqual(["failed"]);
  expect(transfers.value[0].why).toBe("Gone.");
  expect(begun.length).toBe(1);
});

test("paused, another one goes; then it goes on to the same address", async () => {
  add("liver", file("a.tif"), ABOUT);
  add("liver", file("b.tif"), ABOUT);
  await settled();
  pause(transfers.value[0].id);
  await settled();
  expect(states()).toEqual(["paused", "sending"]);
  resume(transfers.value[0].id);
  ends.get("/api/v1/uploads/2")?.resolve("/api/v1/images/2");
  await settled();
  expect(states()).toEqual(["sending", "done"]);
  expect(begun.length).toBe(2);
  ends.get("/api/v1/uploads/1")?.resolve("/api/v1/images/1");
  await settled();
});

test("what fails says why, and tries again when asked", async () => {
  add("liver", file("a.tif"), ABOUT);
  await settled();
  ends.get("/api/v1/uploads/1")?.reject(new Problem(409, "These bytes are here."));
  await settled();
  expect(transfers.value[0]).toMatchObject({ state: "failed", why: "These bytes are here." });
  add("liver", file("a.tif"), ABOUT);
  await settled();
  expect(states()).toEqual(["sending"]);
  expect(begun.length).toBe(1);
  ends.get("/api/v1/uploads/1")?.resolve("/api/v1/images/1");
  await settled();
});

test("cancelled, nothing of it stays", async () => {
  add("liver", file("a.tif"), ABOUT);
  await settled();
  await cancel(transfers.value[0].id);
  await settled();
  expect(transfers.value).toEqual([]);
  expect(gone).toEqual(["/api/v1/uploads/1"]);
  expect(recall(markOf("liver", file("a.tif")))).toBe(null);
});
