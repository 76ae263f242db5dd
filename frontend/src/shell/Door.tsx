/** The door: signs people in by a one-time link. */
import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { invitation, join } from "./session";

/** What somebody sees who is not signed in. */
export function Door() {
  const [token, setToken] = useState(invitation);
  const [asksName, setAsksName] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function enter(given: string, name?: string) {
    setBusy(true);
    try {
      await join(given, name);
    } catch (problem) {
      // an invitation for a new person is refused until a name comes with it
      if (problem instanceof Problem && problem.status === 422 && !name) setAsksName(true);
      else setError((problem as Error).message);
    } finally {
      setBusy(false);
    }
  }

  useEffect(() => {
    if (token) void enter(token);
  }, []);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const link = String(form.get("link") ?? "").trim();
    const given = token ?? link.split("#join=").at(-1) ?? "";
    setToken(given);
    setError(null);
    void enter(given, String(form.get("name") ?? "").trim() || undefined);
  }

  return (
    <main id="main" class="door">
      <h1>Cisterna</h1>
      <p>Paint a few tiles; the network learns the organelles and asks for the next ones that help most.</p>
      <form onSubmit={submit}>
        {asksName ? (
          <label>
            Your name
            <input name="name" required maxLength={200} autoComplete="name" autoFocus />
          </label>
        ) : (
          <label>
            One-time sign-in link
            <input name="link" required={!token} autoComplete="off" placeholder="https://…/#join=…" />
          </label>
        )}
        <button type="submit" class="primary" disabled={busy}>
          {asksName ? "Join" : "Sign in"}
        </button>
      </form>
      {error && (
        <p role="alert" class="wrong">
          {error}
        </p>
      )}
      <p class="quiet">
        The person who runs the server gets a link with <code>cisterna token sign-in</code>; managers invite people
        from a project&apos;s People tab.
      </p>
    </main>
  );
}
