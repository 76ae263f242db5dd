/** The REST API as typed calls. Every failure is a `Problem` with a sentence for people. */
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type { Schemas };
export type Project = Schemas["ProjectView"];
export type Label = Schemas["LabelView"];
export type Task = Schemas["TaskView"];
export type Image = Schemas["ImageView"];
export type Job = Schemas["JobView"];
export type Model = Schemas["ModelView"];

/** An error the service (or the lack of it) answered with; `message` names the mend. */
export class Problem extends Error {
  constructor(
    /** HTTP status; 0 when nothing answered. */
    readonly status: number,
    message: string,
    readonly fields: readonly { pointer: string; detail: string }[] = [],
    /** Which error it is, as the service names it: "lease-never-held". */
    readonly kind = "",
  ) {
    super(message);
    this.name = "Problem";
  }

  /** Whether the service was not reached, so that the same call may succeed later. */
  get offline(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

const problems: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return new Problem(0, "The server does not answer. What you paint is kept on this computer.");
  },
};

/** Read an error answer. */
export async function problemOf(response: Response): Promise<Problem> {
  try {
    const body = (await response.json()) as Partial<Schemas["Problem"]>;
    const detail = body.detail ?? body.title ?? response.statusText;
    const kind = (body.type ?? "").split(":").at(-1);
    return new Problem(response.status, detail, body.errors ?? [], kind);
  } catch {
    return new Problem(response.status, `The server answered ${response.status}.`);
  }
}

/** Calls by path: `api.GET("/api/v1/me")`; they throw `Problem`. */
export const api = createClient<paths>({ baseUrl: globalThis.location?.origin ?? "" });
api.use(problems);

type Answer<T> = Promise<{ data?: T; response: Response }>;

interface Listed<T> {
  readonly items: T[];
  readonly next: string | null;
}

/** The body of an answer that is known to have one. */
export async function body<T>(call: Answer<T>): Promise<T> {
  const { data } = await call;
  return data as T;
}

/** The project by its slug. */
export function fetchProject(slug: string): Promise<Project> {
  return body(api.GET("/api/v1/projects/{project}", { params: { path: { project: slug } } }));
}

/** Names the version a change is based on: what others have changed since is not overwritten. */
export function basedOn({ version }: { readonly version: number }): { "if-match": string } {
  return { "if-match": `"${version}"` };
}

/** Changes a project, unless somebody else has changed it since. */
export function editProject(project: Project, changes: Schemas["ProjectEdit"]): Promise<unknown> {
  const params = { path: { project: project.slug }, header: basedOn(project) };
  return api.PATCH("/api/v1/projects/{project}", { params, body: changes });
}

/** Any request for bytes, with the same errors as `api`; `path` starts with /api. */
export async function bytes(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer. What you paint is kept on this computer.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** All items of a paged list; `ask` puts the page into its query. */
export async function all<T>(ask: (page: { cursor?: string }) => Answer<Listed<T>>): Promise<T[]> {
  const items: T[] = [];
  let page: { cursor?: string } | null = {};
  while (page !== null) {
    const found: Listed<T> = await body(ask(page));
    items.push(...found.items);
    page = found.next === null ? null : { cursor: found.next };
  }
  return items;
}
