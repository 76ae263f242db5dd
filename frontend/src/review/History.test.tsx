import { render } from "preact";
import { act } from "preact/test-utils";
import { expect, it } from "vitest";
import { uuid } from "../annotator/specimen";
import type { Schemas } from "../api/client";
import { History } from "./History";

function revision(number: number, changes: Partial<Schemas["AnnotationView"]>): Schemas["AnnotationView"] {
  return {
    id: uuid(number),
    tile_id: uuid(100),
    revision: number,
    state: "accepted",
    task_id: null,
    author_id: uuid(200),
    author: "Ada",
    complete_for: [1],
    active_seconds: null,
    prediction_id: null,
    imported: false,
    late: false,
    accepted_at: null,
    accepted_by: null,
    accepter: null,
    retracted_at: null,
    erased_at: null,
    created_at: "2026-01-01T00:00:00Z",
    ...changes,
  };
}

it("tells of each revision how long it took and who accepted it", async () => {
  const history = [
    revision(3, { state: "waiting", active_seconds: 42 }),
    revision(2, { active_seconds: 90, accepter: "Bob" }),
    revision(1, { state: "superseded", author: null, imported: true }),
  ];
  const main = document.createElement("main");
  await act(() => render(<History history={history} />, main));
  const said = [...main.querySelectorAll("small")].map((one) => one.textContent);
  expect(said).toEqual([", 42 s of work", ", 1.5 min of work, accepted by Bob", ""]);
});
