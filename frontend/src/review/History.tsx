/** The past of a tile: its revisions, and what was said of them. */
import { api, type Schemas } from "../api/client";
import { complain, tell } from "../shell/toasts";

type Revision = Schemas["AnnotationView"];

/** What was said of the tile. */
export function Remarks({ comments }: { comments: readonly Schemas["CommentView"][] }) {
  if (comments.length === 0) return null;
  return (
    <section>
      <h2>Said before</h2>
      <ul>
        {comments.map((comment) => (
          <li key={comment.id}>
            {comment.author}, revision {comment.revision}
            {comment.x !== null && `, at ${comment.x}, ${comment.y}`}: {comment.text}
            {comment.resolved_at !== null && <small> (done)</small>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Seconds in words. */
export function duration(seconds: number): string {
  return seconds < 60 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`;
}

/** Every revision of the tile; an accepted one may be made gold. */
export function History({ history }: { history: readonly Revision[] }) {
  return (
    <section>
      <h2>History of the tile</h2>
      <ol reversed>
        {history.map((one) => (
          <li key={one.id}>
            revision {one.revision} by {one.imported ? "an import" : (one.author ?? "somebody")}, {one.state},{" "}
            {new Date(one.created_at).toLocaleString()}
            <small>{facts(one)}</small>{" "}
            {one.state === "accepted" && (
              <>
                <button type="button" onClick={() => makeGold(one, false)}>
                  Make gold
                </button>{" "}
                <button type="button" onClick={() => makeGold(one, true)}>
                  For practice
                </button>
              </>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** How long a revision took, and who accepted it. */
function facts({ active_seconds: seconds, accepter }: Revision): string {
  const work = seconds === null ? "" : `, ${duration(seconds)} of work`;
  return accepter === null ? work : `${work}, accepted by ${accepter}`;
}

/** Take a revision as the truth of its tile. */
export async function makeGold({ id }: Revision, practice: boolean) {
  try {
    const params = { path: { annotation: id }, query: { practice } };
    await api.PUT("/api/v1/annotations/{annotation}/gold", { params });
    tell(
      practice
        ? "People can practise on this tile now; this revision is its truth."
        : "This revision is now what people are measured by on this tile.",
    );
  } catch (problem) {
    complain(problem);
  }
}
