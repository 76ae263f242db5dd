/** Who may do what in the project, and links that invite. */
import { useState } from "preact/hooks";
import { api, body, type Schemas } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { covers } from "../../shell/session";
import { complain } from "../../shell/toasts";
import { Copied } from "../../widgets/Copied";
import { confirm } from "../../widgets/confirm";
import type { TabProps } from "../Dashboard";

type Role = Schemas["Role"];
const ROLES: readonly (readonly [Role, string])[] = [
  ["viewer", "looks"],
  ["annotator", "paints"],
  ["reviewer", "judges what others painted"],
  ["manager", "changes the project"],
];

/** Memberships and invitations. */
export function PeopleTab({ project, me }: TabProps) {
  const [link, setLink] = useState<string | null>(null);
  const manages = covers(me, project.slug, "manager");
  const path = { project: project.slug };
  const members = useLoaded(
    () =>
      body(api.GET("/api/v1/projects/{project}/memberships", { params: { path } })),
    [project.slug],
  );

  async function invite(event: SubmitEvent) {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const made = await body(
        api.POST("/api/v1/projects/{project}/invitations", {
          params: { path },
          body: { role: given.get("role") as Role, hours: Number(given.get("hours")) },
        }),
      );
      setLink(made.link);
    } catch (problem) {
      complain(problem);
    }
  }

  async function change(user: string, role: Role | null, name: string) {
    const params = { path: { ...path, user } };
    try {
      if (role !== null) {
        await api.PUT("/api/v1/projects/{project}/memberships/{user}", { params, body: { role } });
      } else {
        const text = `${name} no longer sees the project; what they painted stays.`;
        if (!(await confirm("Remove this person?", text, "Remove"))) return;
        await api.DELETE("/api/v1/projects/{project}/memberships/{user}", { params });
      }
    } catch (problem) {
      complain(problem);
    }
    await members.again();
  }

  return (
    <section>
      {members.error.value && <p role="alert">{members.error.value.message}</p>}
      <table>
        <thead>
          <tr>
            <th>Name</th>
            <th>Role</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {members.value.value?.map((member) => (
            <tr key={member.user_id}>
              <td>{member.name}</td>
              <td>
                <select
                  aria-label={`Role of ${member.name}`}
                  value={member.role}
                  disabled={!manages}
                  onChange={(event) => change(member.user_id, event.currentTarget.value as Role, member.name)}
                >
                  {ROLES.map(([role, does]) => (
                    <option key={role} value={role}>
                      {role}: {does}
                    </option>
                  ))}
                </select>
              </td>
              <td>
                {manages && (
                  <button type="button" class="danger" onClick={() => change(member.user_id, null, member.name)}>
                    Remove
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {manages && (
        <>
          <h2>Invite</h2>
          <form class="row" onSubmit={invite}>
            <label>
              as{" "}
              <select name="role" defaultValue="annotator">
                {ROLES.map(([role]) => (
                  <option key={role} value={role} selected={role === "annotator"}>
                    {role}
                  </option>
                ))}
              </select>
            </label>
            <label>
              good for hours <input name="hours" type="number" min={1} max={720} defaultValue="72" />
            </label>
            <button type="submit">Make a link</button>
          </form>
          {link && (
            <p class="banner" role="status">
              Send this to one person; it works once: <Copied text={link} />
            </p>
          )}
        </>
      )}
    </section>
  );
}
