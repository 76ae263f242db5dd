/** A project's changes as they happen; what was missed is fetched again, so none is lost. */
import { useEffect } from "preact/hooks";
import type { Schemas } from "../api/client";

type Kind = "project" | "image" | "task" | "annotation" | "job" | "model" | "query" | "policy";

/** What changed; `missed` says that anything may have, `progress` that a job which runs got further. */
export interface Change {
  readonly kind: Kind | "missed" | "progress";
  readonly object_id: string;
  readonly state: string;
}

/**
 * Call `changed` at every event of a project, and with `missed` whenever something may have been
 * missed (after a pause of the connection, or now and then while the broker is away).
 * A job that runs tells every second how far it is: that goes to `progressed` alone.
 * Returns how to stop.
 */
export function watch(
  project: Schemas["ProjectView"]["slug"],
  changed: (change: Change) => void,
  progressed?: (change: Change) => void,
): () => void {
  const running = new Set<string>();
  let stream: EventSource | null = null;
  let poll = 0;
  let opened = false;
  const missed = () => changed({ kind: "missed", object_id: "", state: "" });
  const open = () => {
    stream = new EventSource(`/api/v1/projects/${encodeURIComponent(project)}/events`);
    stream.onopen = () => {
      clearInterval(poll);
      poll = 0;
      if (opened) missed();
      opened = true;
    };
    stream.onmessage = (message) => {
      const change = JSON.parse(message.data as string) as Change;
      const runs = change.kind === "job" && change.state === "running";
      if (runs && running.has(change.object_id)) return progressed?.({ ...change, kind: "progress" });
      running[runs ? "add" : "delete"](change.object_id);
      changed(change);
    };
    stream.addEventListener("unavailable", fallBack);
    stream.onerror = fallBack;
  };
  const fallBack = () => {
    if (poll === 0) poll = window.setInterval(missed, 10_000);
    // a browser gives up after an answer that is no stream: try again by ourselves
    if (stream?.readyState === EventSource.CLOSED) {
      stream = null;
      window.setTimeout(() => closed || stream || open(), 10_000);
    }
  };
  let closed = false;
  open();
  return () => {
    closed = true;
    clearInterval(poll);
    stream?.close();
  };
}

/** Fetch something again when the project's last change is of these kinds, or some were missed. */
export function useChanges(change: Change | null, kinds: readonly Change["kind"][], again: () => unknown): void {
  useEffect(() => {
    if (change !== null && (change.kind === "missed" || kinds.includes(change.kind))) again();
  }, [change]);
}
