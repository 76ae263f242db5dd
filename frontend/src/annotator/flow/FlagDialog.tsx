/** What others shall look at. */
import { Dialog } from "../../widgets/Dialog";

/** Ask for a sentence that goes with the tile. */
export function FlagDialog(props: {
  flag: string | null;
  set: (flag: string | null) => void;
  close: () => void;
}) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    props.set(String(given.get("flag") ?? "").trim() || null);
  };
  return (
    <Dialog title="Flag the tile for an expert" close={props.close}>
      <form class="form" onSubmit={submit}>
        <label>
          What should they look at?
          <input
            name="flag"
            required
            maxLength={200}
            defaultValue={props.flag ?? ""}
            placeholder="unsure of the membrane at the left"
            autoComplete="off"
            autoFocus
          />
        </label>
        <p class="quiet">It goes with the tile when you submit it, as a remark on your labels.</p>
        <p class="row end">
          {props.flag !== null && (
            <button type="button" onClick={() => props.set(null)}>
              Take the flag away
            </button>
          )}
          <button type="submit" class="primary">
            Flag it
          </button>
        </p>
      </form>
    </Dialog>
  );
}
