/** Every tile of the project: what has become of it, and what was painted there. */
import { all, api, body, type Schemas } from "../../api/client";
import { useChanges } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { query, setQuery } from "../../shell/router";
import type { TabProps } from "../Dashboard";
import { Filter } from "../Filter";
import { TilePicture } from "../TilePicture";
import { SPLITS } from "../images/words";
import { OneTile } from "./OneTile";
import { STATES } from "./words";

type State = Schemas["TileStateView"]["state"];
type Split = Schemas["TileStateView"]["split"];

/** Tiles by state, split and image; one of them is looked at. */
export function TilesTab({ project, me, change }: TabProps) {
  const asked = query.value;
  const [state, split, image, cursor] = ["state", "split", "image", "after"].map((name) => asked.get(name));
  const path = { project: project.slug };
  const tiles = useLoaded(
    () =>
      body(
        api.GET("/api/v1/projects/{project}/tiles", {
          params: {
            path,
            query: {
              limit: 48,
              ...(state && { state: state as State }),
              ...(split && { split: split as Split }),
              ...(image && { image }),
              ...(cursor && { cursor }),
            },
          },
        }),
      ),
    [project.slug, state, split, image, cursor],
  );
  const images = useLoaded(
    () => all((page) => api.GET("/api/v1/projects/{project}/images", { params: { path, query: page } })),
    [project.slug],
  );
  useChanges(change, ["task", "annotation"], tiles.again);
  const names = new Map(images.value.value?.map((one) => [one.id, one.name]));
  const found = tiles.value.value;
  const shown = asked.get("tile");
  const narrow = (name: string) => (value: string | null) => setQuery({ [name]: value, after: null });
  return (
    <section aria-label="Tiles">
      <p class="row">
        <Filter name="state" value={state} options={Object.entries(STATES)} change={narrow("state")} />
        <Filter name="split" value={split} options={SPLITS.map(([name]) => [name, name])} change={narrow("split")} />
        <Filter name="image" value={image} options={[...names]} change={narrow("image")} />
      </p>
      {tiles.error.value && <p role="alert">{tiles.error.value.message}</p>}
      {!found && !tiles.error.value && <p class="quiet">Loading …</p>}
      {found?.items.length === 0 && <p class="quiet">No tile is like that.</p>}
      <ul class="tiles">
        {found?.items.map((tile) => (
          <li key={tile.id}>
            <button type="button" class="plain" onClick={() => setQuery({ tile: tile.id })}>
              <TilePicture tile={tile} />
              {STATES[tile.state]}
            </button>
          </li>
        ))}
      </ul>
      <p class="row">
        {cursor && (
          <button type="button" onClick={() => setQuery({ after: null })}>
            From the start
          </button>
        )}
        {found?.next && (
          <button type="button" onClick={() => setQuery({ after: found.next })}>
            More tiles
          </button>
        )}
      </p>
      {shown && <OneTile key={shown} id={shown} project={project} me={me} change={change} names={names} />}
    </section>
  );
}
