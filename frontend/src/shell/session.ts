/** Who is signed in. */
import { signal } from "@preact/signals";
import { api, body, Problem, type Schemas } from "../api/client";

export type Me = Schemas["Me"];

/** The person; null when nobody is signed in, undefined while it is asked. */
export const me = signal<Me | null | undefined>(undefined);

/** Ask who is signed in. */
export async function recognise(): Promise<void> {
  try {
    me.value = await body(api.GET("/api/v1/me"));
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    me.value = null;
  }
}

/** The token of a one-time link, taken from the address. */
export function invitation(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("join");
}

/** Turn a one-time link into a session; a link that invites asks for a name. */
export async function join(token: string, name?: string): Promise<void> {
  await api.POST("/api/v1/sessions", { body: name ? { token, name } : { token } });
  history.replaceState(null, "", location.pathname);
  await recognise();
}

/** Sign out. */
export async function leave(): Promise<void> {
  await api.DELETE("/api/v1/sessions");
  me.value = null;
}

/** What the person may do in a project: "manager" covers "reviewer", and so on. */
export function covers(person: Me, slug: string, role: Schemas["Role"]): boolean {
  const order: Schemas["Role"][] = ["manager", "reviewer", "annotator", "viewer"];
  if (person.is_admin) return true;
  const own = person.memberships.find((membership) => membership.slug === slug);
  return own !== undefined && order.indexOf(own.role) <= order.indexOf(role);
}
