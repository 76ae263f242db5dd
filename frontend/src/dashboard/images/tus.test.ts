import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Problem } from "../../api/client";
import { begin, delay, PIECE, sendAll } from "./tus";

const URL = "/api/v1/uploads/1";
const never = new AbortController().signal;

/** A server that keeps what arrives, and breaks when it is told to. */
class Server {
  received: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  size = 0;
  requests: string[] = [];
  /** What the next PATCHes do instead of answering. */
  faults: ("away" | "half" | "lost answer" | "idle" | number)[] = [];
  heads: (number | "away")[] = [];

  get headers(): Record<string, string> {
    const whole = this.received.length === this.size;
    return {
      "Upload-Offset": String(this.received.length),
      ...(whole ? { Location: "/api/v1/images/7" } : {}),
    };
  }

  head(): Response {
    this.requests.push("HEAD");
    const fault = this.heads.shift();
    if (fault === "away") throw new TypeError("Failed to fetch");
    return new Response(null, { status: fault ?? 204, headers: this.headers });
  }

  /** Status, body and headers; null when the connection breaks. */
  patch(offset: number, piece: Uint8Array<ArrayBuffer>): Response | null {
    this.requests.push(`PATCH ${offset}+${piece.length}`);
    const fault = this.faults.shift();
    if (typeof fault === "number") return Response.json({ detail: "No." }, { status: fault });
    if (fault === "away") return null;
    if (fault === "idle") return new Response(null, { status: 204, headers: this.headers });
    if (offset !== this.received.length) {
      const errors = [{ pointer: "/Upload-Offset", detail: "There." }];
      return Response.json({ detail: "There.", errors }, { status: 409 });
    }
    const kept = fault === "half" ? piece.slice(0, piece.length / 2) : piece;
    const all = new Uint8Array(this.received.length + kept.length);
    all.set(this.received);
    all.set(kept, this.received.length);
    this.received = all;
    if (fault !== undefined) return null;
    return new Response(null, { status: 204, headers: this.headers });
  }
}

let server: Server;

class Request {
  upload: { onprogress?: (event: { loaded: number }) => void } = {};
  onload?: () => void;
  onerror?: () => void;
  onloadend?: () => void;
  status = 0;
  responseText = "";
  private answer: Response | null = null;
  private sent: Record<string, string> = {};

  open(method: string, url: string) {
    expect([method, url]).toEqual(["PATCH", URL]);
  }

  setRequestHeader(name: string, value: string) {
    this.sent[name] = value;
  }

  getResponseHeader(name: string) {
    return this.answer?.headers.get(name) ?? null;
  }

  abort() {}

  async send(piece: Blob) {
    expect(this.sent["Tus-Resumable"]).toBe("1.0.0");
    expect(this.sent["Content-Type"]).toBe("application/offset+octet-stream");
    const data = new Uint8Array(await piece.arrayBuffer());
    this.upload.onprogress?.({ loaded: data.length });
    this.answer = server.patch(Number(this.sent["Upload-Offset"]), data);
    this.status = this.answer?.status ?? 0;
    this.responseText = (await this.answer?.text()) ?? "";
    (this.answer ? this.onload : this.onerror)?.();
    this.onloadend?.();
  }
}

function content(size: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) data[i] = (i * 7919) % 251;
  return data;
}

/** Far faster than `toEqual` on megabytes. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

async function send(data: Uint8Array<ArrayBuffer>, signal = never) {
  server.size = data.length;
  const progress: number[] = [];
  const troubles: (string | null)[] = [];
  const image = sendAll(
    URL,
    new Blob([data]),
    (sent) => progress.push(sent),
    (why) => troubles.push(why),
    signal,
  );
  return { image, progress, troubles };
}

beforeEach(() => {
  server = new Server();
  vi.stubGlobal("XMLHttpRequest", Request);
  vi.stubGlobal("fetch", async () => server.head());
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Let all pauses pass. */
async function passed<T>(image: Promise<T>): Promise<T> {
  let over = false;
  void image.then(
    () => (over = true),
    () => (over = true),
  );
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(30_000);
  }
  return image;
}

describe("sendAll", () => {
  test("sends a file piece by piece", async () => {
    const data = content(2 * PIECE + 5);
    const { image, progress, troubles } = await send(data);
    expect(await passed(image)).toBe("/api/v1/images/7");
    expect(server.requests).toEqual(["HEAD", `PATCH 0+${PIECE}`, `PATCH ${PIECE}+${PIECE}`, `PATCH ${2 * PIECE}+5`]);
    expect(isSame(server.received, data)).toBe(true);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(data.length);
    expect(troubles).toEqual([]);
  });

  test("goes on where the server stands", async () => {
    const data = content(1000);
    server.received = data.slice(0, 300);
    const { image } = await send(data);
    await passed(image);
    expect(server.requests).toEqual(["HEAD", "PATCH 300+700"]);
    expect(isSame(server.received, data)).toBe(true);
  });

  test("sends nothing of a file that is there", async () => {
    const data = content(10);
    server.received = data;
    const { image } = await send(data);
    expect(await passed(image)).toBe("/api/v1/images/7");
    expect(server.requests).toEqual(["HEAD"]);
  });

  test.each([
    [["away", "away"]],
    [["half"]],
    [["half", "away", "half"]],
    [["lost answer"]],
    [[503, 502]],
  ] as Server["faults"][][])("survives %j", async (faults) => {
    const data = content(PIECE + 1000);
    server.faults = faults;
    server.heads = [204, "away"];
    const { image, troubles } = await send(data);
    expect(await passed(image)).toBe("/api/v1/images/7");
    expect(isSame(server.received, data)).toBe(true);
    expect(troubles.length).toBeGreaterThan(0);
  });

  test("says when it goes on", async () => {
    server.faults = ["away", "half"];
    const { image, troubles } = await send(content(2 * PIECE));
    await passed(image);
    expect(troubles).toEqual(["The server does not answer.", "The server does not answer.", null]);
  });

  test("asks again when it is at the wrong place", async () => {
    const data = content(100);
    const { image } = await send(data);
    // another tab was faster
    server.received = data.slice(0, 40);
    server.heads = [];
    await passed(image);
    expect(isSame(server.received, data)).toBe(true);
  });

  test.each([401, 403, 404, 409, 413, 422, 500])("gives in to %i", async (status) => {
    server.faults = [status];
    const { image } = await send(content(10));
    const problem = await passed(image).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(Problem);
    expect((problem as Problem).status).toBe(status);
    expect((problem as Problem).message).toBe("No.");
  });

  test("does not turn round and round when a server takes nothing", async () => {
    const data = content(10);
    server.faults = ["idle", "idle"];
    const { image, troubles } = await send(data);
    await passed(image);
    const idle = "The server took nothing of the file.";
    expect(troubles).toEqual([idle, idle]);
  });

  test("stops in a pause and in a request", async () => {
    const stop = new AbortController();
    server.faults = ["away"];
    const { image } = await send(content(10), stop.signal);
    const ended = expect(image).rejects.toBe("enough");
    while (server.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
    stop.abort("enough");
    await ended;
  });
});

test("pauses grow, up to half a minute", () => {
  expect([0, 1, 2, 20].map(delay)).toEqual([500, 1000, 2000, 30_000]);
});

test("begins with what is said of the image", async () => {
  let seen: RequestInit = {};
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    seen = init;
    return new Response(null, { status: 201, headers: { Location: URL } });
  });
  expect(await begin("liver", 9, { name: "étude ☃.tif", pixel_nm: "4.6" }, never)).toBe(URL);
  const headers = seen.headers as Record<string, string>;
  expect(headers["Upload-Length"]).toBe("9");
  expect(headers["Upload-Metadata"]).toBe("name w6l0dWRlIOKYgy50aWY=,pixel_nm NC42");
});
