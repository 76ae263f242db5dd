/** The bar on top: where one is and how to get elsewhere. */
import { path } from "./router";
import { covers, leave, me } from "./session";
import { theme, toggleTheme } from "./theme";
import { complain } from "./toasts";

/** The bar on top of every room. */
export function Bar() {
  const person = me.value;
  const [first, slug, room] = path.value;
  const project = first === "projects" ? slug : undefined;
  const link = (to: string, text: string, here: boolean) => (
    <a href={to} aria-current={here ? "page" : undefined}>
      {text}
    </a>
  );
  return (
    <header class="bar">
      <a class="brand" href="/">
        <img src="/favicon.svg" alt="" width="22" height="22" /> Cisterna
      </a>
      {project && person && (
        <nav aria-label="Project">
          {covers(person, project, "annotator") &&
            link(`/projects/${project}/annotate`, "Annotate", room === "annotate")}
          {covers(person, project, "annotator") &&
            link(`/projects/${project}/practice`, "Practice", room === "practice")}
          {covers(person, project, "reviewer") &&
            link(`/projects/${project}/review`, "Review", room === "review")}
          {link(`/projects/${project}`, "Dashboard", !["annotate", "practice", "review"].includes(room ?? ""))}
        </nav>
      )}
      <span class="spring" />
      <button type="button" class="plain" onClick={toggleTheme}>
        {theme.value === "dark" ? "Light" : "Dark"}
      </button>
      <a href="/docs">API</a>
      {person && (
        <>
          <a href="/settings" aria-current={first === "settings" ? "page" : undefined}>
            {person.name}
          </a>
          <button type="button" class="plain" onClick={() => leave().catch(complain)}>
            Sign out
          </button>
        </>
      )}
    </header>
  );
}
