/** All projects one may see, and a new one. */
import { useState } from "preact/hooks";
import { all, api, body } from "../api/client";
import { Dialog } from "../widgets/Dialog";
import { useLoaded } from "./load";
import { go } from "./router";
import { covers, type Me, recognise } from "./session";

/** The list of projects. */
export function Projects({ me }: { me: Me }) {
  const [making, setMaking] = useState(false);
  const projects = useLoaded(
    () => all((page) => api.GET("/api/v1/projects", { params: { query: page } })),
    [],
  );
  return (
    <main id="main" class="page">
      <header class="row">
        <h1>Projects</h1>
        <span class="spring" />
        <button type="button" class="primary" onClick={() => setMaking(true)}>
          New project
        </button>
      </header>
      {projects.error.value && <p role="alert">{projects.error.value.message}</p>}
      {projects.value.value?.length === 0 && (
        <p class="quiet">No project yet. Make one, upload images, and paint the first tiles.</p>
      )}
      <ul class="cards">
        {projects.value.value?.map((project) => (
          <li key={project.id} class="card">
            <h2>
              <a href={`/projects/${project.slug}`}>{project.name}</a>
            </h2>
            <ul class="swatches">
              {project.labels.map((label) => (
                <li key={label.value}>
                  <i style={{ background: label.colour }} /> {label.name}
                </li>
              ))}
            </ul>
            <p class="row">
              {covers(me, project.slug, "annotator") && (
                <a class="button" href={`/projects/${project.slug}/annotate`}>
                  Annotate
                </a>
              )}
              {covers(me, project.slug, "reviewer") && (
                <a class="button" href={`/projects/${project.slug}/review`}>
                  Review
                </a>
              )}
            </p>
          </li>
        ))}
      </ul>
      {making && <NewProject close={() => setMaking(false)} />}
    </main>
  );
}

function NewProject({ close }: { close: () => void }) {
  const [error, setError] = useState<string | null>(null);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    try {
      const made = await body(
        api.POST("/api/v1/projects", {
          body: {
            name: String(form.get("name")),
            preset: "liver",
            tile_size: Number(form.get("tile_size")),
            review: form.get("review") === "on",
          },
        }),
      );
      await recognise();
      go(`/projects/${made.slug}/images`);
    } catch (problem) {
      setError((problem as Error).message);
    }
  }

  return (
    <Dialog title="New project" close={close}>
      <form onSubmit={submit} class="form">
        <label>
          Name
          <input name="name" required maxLength={200} autoFocus />
        </label>
        <label>
          Tile edge, pixels
          <input name="tile_size" type="number" min={32} max={4096} defaultValue="512" required />
        </label>
        <label class="check">
          <input name="review" type="checkbox" /> A second person reviews every tile
        </label>
        <p class="quiet">
          It starts with the five organelles of the liver: nuclei, mitochondria, lipid droplets, ER, cell boundaries.
        </p>
        {error && <p role="alert">{error}</p>}
        <button type="submit" class="primary">
          Make it
        </button>
      </form>
    </Dialog>
  );
}
