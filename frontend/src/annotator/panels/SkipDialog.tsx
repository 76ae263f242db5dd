/** Why a tile is set aside. */
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { Dialog } from "../../widgets/Dialog";

const reasons = [
  ["artefact", "An artefact covers it", "Fold, crack, dirt, charging"],
  ["out of focus", "It is out of focus", "Nobody could draw the outlines"],
  ["unsure", "I am not sure", "An expert should label it"],
  ["not liver", "It is not what this project looks at", "Resin, another tissue, an empty field"],
] as const;

/** Ask for a reason; `skip` gets it in words. */
export function SkipDialog(props: { skip: (reason: string) => void; close: () => void }) {
  const chosen = useSignal<string | null>(null);
  const text = useSignal("");
  const name = useId();
  const reason = chosen.value === "other" ? text.value.trim() : (chosen.value ?? "");
  return (
    <Dialog title="Skip this tile" close={props.close}>
      <p>The tile is not asked for again. The reason is kept, so that others can look at it.</p>
      <fieldset class="reasons">
        <legend class="unseen">Reason</legend>
        {reasons.map(([value, title, example]) => (
          <label key={value}>
            <input
              type="radio"
              name={name}
              autofocus={value === reasons[0][0]}
              checked={chosen.value === value}
              onChange={() => (chosen.value = value)}
            />
            <span>
              {title} <span class="quiet">{example}</span>
            </span>
          </label>
        ))}
        <label>
          <input
            type="radio"
            name={name}
            checked={chosen.value === "other"}
            onChange={() => (chosen.value = "other")}
          />
          <span>Another reason</span>
        </label>
        {chosen.value === "other" && (
          <input
            type="text"
            aria-label="The reason in words"
            maxLength={500}
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        )}
      </fieldset>
      <p class="row end">
        <button type="button" onClick={props.close}>
          Go back
        </button>
        <button
          type="button"
          class="primary"
          disabled={reason === ""}
          onClick={() => props.skip(reason)}
        >
          Skip the tile
        </button>
      </p>
    </Dialog>
  );
}
