/** When the project learns again by itself. */
import { useState } from "preact/hooks";
import { all, api, basedOn, type Schemas } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { covers } from "../../shell/session";
import { complain } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import { Dialog } from "../../widgets/Dialog";
import type { TabProps } from "../Dashboard";
import { PolicyForm } from "./PolicyForm";

type Policy = Schemas["PolicyView"];

/** The list of policies. */
export function PoliciesTab({ project, me, change }: TabProps) {
  const [editing, setEditing] = useState<Policy | "new" | null>(null);
  const manages = covers(me, project.slug, "manager");
  const policies = useLoaded(
    () =>
      all((page) =>
        api.GET("/api/v1/projects/{project}/policies", {
          params: { path: { project: project.slug }, query: page },
        }),
      ),
    [project.slug],
  );
  useChanges(change, ["policy", "job"], policies.again);
  const params = (policy: Policy) => ({
    path: { project: project.slug, policy: policy.id },
    header: basedOn(policy),
  });

  async function act(work: () => Promise<unknown>) {
    try {
      await work();
    } catch (problem) {
      complain(problem);
    }
    await policies.again();
  }

  const toggle = (policy: Policy) =>
    act(() =>
      api.PATCH("/api/v1/projects/{project}/policies/{policy}", {
        params: params(policy),
        body: { enabled: !policy.enabled } as Schemas["PolicyEdit"],
      }),
    );

  async function remove(policy: Policy) {
    if (!(await confirm("Delete the policy?", `“${policy.name}” starts no more trainings.`, "Delete"))) return;
    await act(() => api.DELETE("/api/v1/projects/{project}/policies/{policy}", { params: params(policy) }));
  }

  return (
    <section>
      <p class="row">
        {manages && (
          <button type="button" class="primary" onClick={() => setEditing("new")}>
            New policy
          </button>
        )}
      </p>
      {policies.error.value && <p role="alert">{policies.error.value.message}</p>}
      {policies.value.value?.length === 0 && (
        <p class="quiet">Nothing trains by itself yet. A policy trains after so many tiles, at night, or both.</p>
      )}
      {policies.value.value && policies.value.value.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Name</th>
              <th>Trains</th>
              <th>Not between</th>
              <th>Last time</th>
              <th>On</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {policies.value.value.map((policy) => (
              <tr key={policy.id}>
                <td>{policy.name}</td>
                <td>{when(policy)}</td>
                <td>
                  {policy.quiet_from && policy.quiet_until
                    ? `${policy.quiet_from.slice(0, 5)} – ${policy.quiet_until.slice(0, 5)}`
                    : "–"}
                </td>
                <td>
                  {policy.last_firing
                    ? `${new Date(policy.last_firing.fired_at).toLocaleString()}: ${policy.last_firing.outcome}`
                    : "never"}
                </td>
                <td>
                  <input
                    type="checkbox"
                    aria-label={`${policy.name} is on`}
                    checked={policy.enabled}
                    disabled={!manages}
                    onChange={() => toggle(policy)}
                  />
                </td>
                <td class="row">
                  {manages && (
                    <>
                      <button type="button" onClick={() => setEditing(policy)}>
                        Edit
                      </button>
                      <button type="button" class="danger" onClick={() => remove(policy)}>
                        Delete
                      </button>
                    </>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {editing && (
        <Dialog title={editing === "new" ? "New policy" : editing.name} close={() => setEditing(null)}>
          <PolicyForm
            project={project}
            policy={editing === "new" ? null : editing}
            done={() => {
              setEditing(null);
              void policies.again();
            }}
          />
        </Dialog>
      )}
    </section>
  );
}

function when(policy: Policy): string {
  const parts = [];
  if (policy.every_annotations) parts.push(`after ${policy.every_annotations} tiles`);
  if (policy.cron) parts.push(`at ${policy.cron}`);
  const schedule = policy.schedule === "auto" ? "" : ` (${policy.schedule})`;
  return parts.join(" and ") + schedule;
}
