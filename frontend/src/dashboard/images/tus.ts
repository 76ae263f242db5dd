/** Sends a file in pieces, as the tus protocol 1.0 has it: what has arrived is never sent again. */
import { bytes, Problem, problemOf } from "../../api/client";

const TUS = { "Tus-Resumable": "1.0.0" };

/** Bytes of a piece: small enough for any proxy, large enough for any line. */
export const PIECE = 8 * 2 ** 20;

/** How far an upload has come, and the address of the image it became. */
export interface Standing {
  readonly offset: number;
  readonly image: string | null;
}

/** Begin an upload; returns its address. */
export async function begin(
  project: string,
  size: number,
  about: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const pairs = Object.entries(about).map(([key, value]) => `${key} ${base64(value)}`);
  const answer = await bytes(`/api/v1/projects/${encodeURIComponent(project)}/uploads`, {
    method: "POST",
    headers: { ...TUS, "Upload-Length": String(size), "Upload-Metadata": pairs.join(",") },
    signal,
  });
  return answer.headers.get("Location") as string;
}

/** Ask how far an upload has come; a Problem with status 404 if it is gone. */
export async function standing(url: string, signal?: AbortSignal): Promise<Standing> {
  const init = { method: "HEAD", headers: TUS };
  const { headers } = await bytes(url, signal ? { ...init, signal } : init);
  return { offset: Number(headers.get("Upload-Offset")), image: headers.get("Location") };
}

/** Give an upload up, with what has arrived of it. */
export async function giveUp(url: string): Promise<void> {
  await bytes(url, { method: "DELETE", headers: TUS });
}

/** Send the piece of a file that begins at `offset`; `progress` hears of bytes sent in all. */
export function sendPiece(
  url: string,
  file: Blob,
  offset: number,
  progress: (sent: number) => void,
  signal: AbortSignal,
): Promise<Standing> {
  return new Promise((resolve, reject) => {
    // fetch says nothing of what was sent so far
    const request = new XMLHttpRequest();
    request.open("PATCH", url);
    const headers = { ...TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    const abort = () => {
      request.abort();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort, { once: true });
    request.upload.onprogress = (event) => progress(offset + event.loaded);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.onerror = () => reject(new Problem(0, "The server does not answer."));
    request.onload = () => {
      const { status } = request;
      if (status < 200 || status > 299) {
        void problemOf(new Response(request.responseText, { status })).then(reject);
        return;
      }
      const offset = Number(request.getResponseHeader("Upload-Offset"));
      resolve({ offset, image: request.getResponseHeader("Location") });
    };
    request.send(file.slice(offset, offset + PIECE));
  });
}

/**
 * Send what is missing of a file until it is an image; returns the image's address. While the
 * server is away it tries again, ever more seldom; `trouble` hears why, and null when it goes on.
 */
export async function sendAll(
  url: string,
  file: Blob,
  progress: (sent: number) => void,
  trouble: (why: string | null) => void,
  signal: AbortSignal,
): Promise<string> {
  let offset: number | null = null;
  for (let failures = 0; ; ) {
    try {
      const before: number | null = offset;
      const at: Standing =
        before === null ? await standing(url, signal) : await sendPiece(url, file, before, progress, signal);
      progress(at.offset);
      if (at.image !== null) return at.image;
      if (at.offset === before) throw new Problem(502, "The server took nothing of the file.");
      // that it answers does not mean that it takes bytes
      if (before !== null && failures > 0) {
        trouble(null);
        failures = 0;
      }
      offset = at.offset;
    } catch (error) {
      if (!(error instanceof Problem) || !(error.offline || isMisplaced(error))) throw error;
      offset = null;
      trouble(error.status === 0 ? "The server does not answer." : error.message);
      await pause(delay(failures++), signal);
    }
  }
}

/** Milliseconds before the next try after so many failures; 30 s at the most. */
export function delay(failures: number): number {
  return Math.min(30_000, 500 * 2 ** failures);
}

/** Whether the server has more, or less, of the file than we thought. */
function isMisplaced(problem: Problem): boolean {
  return problem.status === 409 && problem.fields.some((field) => field.pointer === "/Upload-Offset");
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
