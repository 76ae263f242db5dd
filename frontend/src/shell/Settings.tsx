/** One's own tokens: bearer tokens for scripts, shown once. */
import { useState } from "preact/hooks";
import { all, api, body } from "../api/client";
import { Copied } from "../widgets/Copied";
import { confirm } from "../widgets/confirm";
import { useLoaded } from "./load";
import type { Me } from "./session";
import { complain } from "./toasts";

/** The room behind the person's name. */
export function Settings({ me }: { me: Me }) {
  const [secret, setSecret] = useState<string | null>(null);
  const tokens = useLoaded(
    () => all((page) => api.GET("/api/v1/tokens", { params: { query: page } })),
    [],
  );

  async function create(event: SubmitEvent) {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const days = String(given.get("days") ?? "");
    try {
      const made = await body(
        api.POST("/api/v1/tokens", {
          body: {
            name: String(given.get("name")),
            read_only: given.get("read_only") === "on",
            days: days === "" ? null : Number(days),
          },
        }),
      );
      setSecret(made.secret);
      form.reset();
      await tokens.again();
    } catch (problem) {
      complain(problem);
    }
  }

  async function revoke(token: string, name: string) {
    const sure = await confirm("Revoke the token?", `Scripts that use “${name}” stop working.`, "Revoke");
    if (!sure) return;
    try {
      await api.DELETE("/api/v1/tokens/{token}", { params: { path: { token } } });
      await tokens.again();
    } catch (problem) {
      complain(problem);
    }
  }

  return (
    <main id="main" class="page">
      <h1>{me.name}</h1>
      <h2>Tokens</h2>
      <p class="quiet">
        A token lets a script or the command line act as you. Its secret is shown once; keep it like a password.
      </p>
      <form class="row" onSubmit={create}>
        <label>
          Name <input name="name" required maxLength={200} />
        </label>
        <label>
          Days it is good <input name="days" type="number" min={1} max={3650} placeholder="for ever" />
        </label>
        <label class="check">
          <input name="read_only" type="checkbox" /> only for reading
        </label>
        <button type="submit">Make a token</button>
      </form>
      {secret && (
        <p class="banner" role="status">
          Copy it now, it is not shown again: <Copied text={secret} />
        </p>
      )}
      {tokens.error.value && <p role="alert">{tokens.error.value.message}</p>}
      <table>
        <thead>
          <tr>
            <th>Name</th>
            <th>Begins with</th>
            <th>May</th>
            <th>Made</th>
            <th>Good until</th>
            <th>Last used</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {tokens.value.value?.map((token) => (
            <tr key={token.id}>
              <td>{token.name}</td>
              <td>
                <code>{token.prefix}</code>
              </td>
              <td>{token.read_only ? "read" : "read and write"}</td>
              <td>{day(token.created_at)}</td>
              <td>{token.revoked_at ? "revoked" : day(token.expires_at)}</td>
              <td>{day(token.last_used_at)}</td>
              <td>
                {!token.revoked_at && (
                  <button type="button" class="danger" onClick={() => revoke(token.id, token.name)}>
                    Revoke
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </main>
  );
}

function day(value: string | null): string {
  return value === null ? "–" : new Date(value).toLocaleDateString();
}
