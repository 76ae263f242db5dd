/** Signing in again in the middle of a tile: nothing is lost meanwhile. */
import { useState } from "preact/hooks";
import { join, me, recognise } from "../../shell/session";
import { Dialog } from "../../widgets/Dialog";

/** Asks for a sign-in link; `welcome` is called when the same person is back. */
export function SignInDialog(props: { person: string; welcome: () => void; close: () => void }) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function enter(link: string) {
    setBusy(true);
    setError(null);
    try {
      const token = link.split("#join=").at(-1) ?? "";
      if (token === "") {
        const before = me.peek();
        await recognise();
        if (me.peek() === null) {
          me.value = before;
          throw new Error("Nobody is signed in in this browser yet.");
        }
      } else await join(token);
      // what is kept here belongs to the one who painted it
      if (me.peek()?.id === props.person) props.welcome();
      else location.reload();
    } catch (problem) {
      setError((problem as Error).message);
    } finally {
      setBusy(false);
    }
  }

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    void enter(String(given.get("link") ?? "").trim());
  };
  return (
    <Dialog title="Sign in again" close={props.close}>
      <form class="form" onSubmit={submit}>
        <p>Your sign-in has ended. What you painted is kept on this computer; you may go on.</p>
        <label>
          One-time sign-in link
          <input name="link" autoComplete="off" placeholder="https://…/#join=…" autoFocus />
        </label>
        {error && (
          <p role="alert" class="wrong">
            {error}
          </p>
        )}
        <p class="row end">
          <button type="button" disabled={busy} onClick={() => void enter("")}>
            I signed in in another tab
          </button>
          <button type="submit" class="primary" disabled={busy}>
            Sign in
          </button>
        </p>
      </form>
    </Dialog>
  );
}
