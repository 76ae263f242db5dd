/** What the project says about the label that is being painted. */
import { paintValue } from "../settings";
import type { Workbench } from "../workbench";
import { Examples } from "./Examples";
import { Swatch } from "./Labels";

/** The chosen label's guideline; a project may have none. */
export function Guideline({ bench }: { bench: Workbench }) {
  const label = bench.sheet.project.labels.find(
    (candidate) => candidate.value === paintValue.value,
  );
  if (!label) {
    return (
      <p>
        {paintValue.value === 0
          ? "Background is what belongs to none of the labels. Painting it erases."
          : "Unknown is for what nobody can tell: nothing is learnt from it."}
      </p>
    );
  }
  return (
    <>
      <p>
        <Swatch value={label.value} colour={label.colour} /> <strong>{label.name}</strong>
      </p>
      {label.guideline ? (
        <p class="guideline">{label.guideline}</p>
      ) : (
        label.examples.length === 0 && (
          <p class="quiet">The project says nothing more about this label yet.</p>
        )
      )}
      <Examples label={label} />
    </>
  );
}
