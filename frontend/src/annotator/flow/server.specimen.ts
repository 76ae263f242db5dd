/** A server of one tile's draft and annotations, in place of `fetch`; for tests. */
import { vi } from "vitest";

/** What the tests see and set. */
export interface TestServer {
  draft: { version: number; labels: Uint8Array; completeFor: string } | null;
  mask: Uint8Array;
  /** "lost": the request arrives, its answer does not. */
  mood: "well" | "gone" | "signed-out" | "lost";
  /** The next answer to an annotation, if not 201. */
  refusal: { status: number; type: string } | null;
  late: boolean;
  readonly puts: Uint8Array[];
  readonly annotations: Map<string, { labels: Uint8Array; query: URLSearchParams }>;
  readonly requests: string[];
}

/** Put a server of one tile of `size` pixels behind `fetch`. */
export function serve(size: number): TestServer {
  const server: TestServer = {
    draft: null,
    mask: new Uint8Array(size),
    mood: "well",
    refusal: null,
    late: false,
    puts: [],
    annotations: new Map(),
    requests: [],
  };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    if (server.mood === "gone") throw new TypeError("Failed to fetch");
    server.requests.push(`${init.method ?? "GET"} ${path.split("?")[0].split("/").at(-1)}`);
    if (server.mood === "signed-out") return problem(401, "unauthenticated");
    const answer = handle(server, path, init);
    if (server.mood === "lost") throw new TypeError("Failed to fetch");
    return answer;
  });
  return server;
}

function handle(server: TestServer, path: string, init: RequestInit): Response {
  const url = new URL(path, "http://cisterna.test");
  const headers = new Headers(init.headers);
  if (url.pathname.endsWith("/mask")) return raw(server.mask, { "X-Complete-For": "" });
  if (url.pathname.endsWith("/annotations")) return annotate(server, url, headers, init);
  if (init.method !== "PUT") {
    if (server.draft === null) return new Response(null, { status: 204, headers: { ETag: '"0"' } });
    const { labels, version, completeFor } = server.draft;
    return raw(labels, { ETag: `"${version}"`, "X-Complete-For": completeFor });
  }
  const current = server.draft?.version ?? 0;
  if (headers.get("If-Match") !== `"${current}"`) return problem(412, "stale");
  const labels = (init.body as Uint8Array).slice();
  server.puts.push(labels);
  const completeFor = url.searchParams.get("complete_for") ?? "";
  server.draft = { version: current + 1, labels, completeFor };
  return new Response("{}", { headers: { ETag: `"${current + 1}"` } });
}

function annotate(server: TestServer, url: URL, headers: Headers, init: RequestInit): Response {
  if (server.refusal) return problem(server.refusal.status, server.refusal.type);
  const key = headers.get("Idempotency-Key") ?? "";
  if (!server.annotations.has(key)) {
    const labels = (init.body as Uint8Array).slice();
    server.annotations.set(key, { labels, query: url.searchParams });
  }
  return Response.json({ late: server.late }, { status: server.late ? 202 : 201 });
}

function raw(labels: Uint8Array, headers: Record<string, string>): Response {
  return new Response(labels.slice(), { headers });
}

function problem(status: number, type: string): Response {
  const detail = `The server says ${type}.`;
  return Response.json({ type: `urn:cisterna:problem:${type}`, detail, errors: [] }, { status });
}

/** Let (feigned) time pass until `check` no longer throws. */
export async function until(check: () => unknown, seconds = 120): Promise<void> {
  for (let tenths = 0; ; tenths++) {
    try {
      await check();
      return;
    } catch (failure) {
      if (tenths >= 10 * seconds) throw failure;
    }
    await vi.advanceTimersByTimeAsync(100);
    // disks and streams live in real time
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}
