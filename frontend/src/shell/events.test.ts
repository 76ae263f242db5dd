import { afterEach, expect, test, vi } from "vitest";
import { type Change, watch } from "./events";

afterEach(() => vi.unstubAllGlobals());

test("progress of a job that runs is told apart from a job that changed", () => {
  let hear: (said: string) => void = () => {};
  vi.stubGlobal(
    "EventSource",
    class {
      onmessage: ((message: { data: string }) => void) | null = null;
      constructor() {
        hear = (said) => {
          const [kind, object_id, state] = said.split(" ");
          this.onmessage?.({ data: JSON.stringify({ kind, object_id, state }) });
        };
      }
      addEventListener() {}
      close() {}
    },
  );
  const words = (change: Change) => `${change.kind} ${change.object_id} ${change.state}`;
  const changed: string[] = [];
  const progressed: string[] = [];
  watch("liver", (change) => changed.push(words(change)), (change) => progressed.push(words(change)));
  const first = ["job a queued", "job a running"];
  for (const said of [...first, "job a running", "job b running", "task t open", "job a running", "task t open"]) hear(said);
  expect(progressed).toEqual(["progress a running", "progress a running"]);
  expect(changed).toEqual([...first, "job b running", "task t open", "task t open"]);
  for (const said of ["job a queued", "job a running"]) hear(said); // its worker went away
  expect(changed.slice(-2)).toEqual(["job a queued", "job a running"]);

  watch("liver", (change) => changed.push(words(change)));
  for (const said of ["job a running", "job a running", "job a succeeded"]) hear(said);
  expect(changed.slice(-2)).toEqual(["job a running", "job a succeeded"]);
});
