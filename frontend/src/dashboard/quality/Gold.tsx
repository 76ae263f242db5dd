/** Tiles whose truth is settled: to measure people by unseen, or to practise on. */
import { all, api, type Project, type Schemas } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { complain } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import { TilePicture } from "../TilePicture";

type Tile = Schemas["GoldView"];

/** The list, newest first; what a tile is for can be changed. */
export function Gold({ project }: { project: Project }) {
  const path = { project: project.slug };
  const tiles = useLoaded(
    () => all((page) => api.GET("/api/v1/projects/{project}/gold", { params: { path, query: page } })),
    [project.slug],
  );
  const at = ({ annotation_id: annotation }: Tile) => ({ path: { annotation } });
  const act = async (work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (problem) {
      complain(problem);
    }
    await tiles.again();
  };
  const remove = async (tile: Tile) => {
    const text = "Its mask stays; answers to it no longer count.";
    if (!(await confirm("Take the tile for gold no longer?", text, "Remove"))) return;
    await act(() => api.DELETE("/api/v1/annotations/{annotation}/gold", { params: at(tile) }));
  };
  const practise = async (tile: Tile) => {
    const text = "Everybody may see its truth then, so it measures nobody any more.";
    if (!(await confirm("Let people practise on it?", text, "Make it for practice"))) return;
    const params = { ...at(tile), query: { practice: true } };
    await act(() => api.PUT("/api/v1/annotations/{annotation}/gold", { params }));
  };
  const found = tiles.value.value;
  return (
    <section aria-labelledby="gold">
      <h2 id="gold">Gold tiles</h2>
      {tiles.error.value && <p role="alert">{tiles.error.value.message}</p>}
      {found?.length === 0 && (
        <p class="quiet">None yet: &ldquo;Make gold&rdquo; in a review or among the tiles takes an accepted mask for the truth.</p>
      )}
      {found && found.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Tile</th>
              <th>Since</th>
              <th>For</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {found.map((gold) => (
              <tr key={gold.tile_id}>
                <td>
                  <TilePicture tile={gold.tile} />
                </td>
                <td>{new Date(gold.created_at).toLocaleDateString()}</td>
                <td>
                  {gold.practice ? "practice" : "measuring people"}{" "}
                  {!gold.practice && (
                    <button type="button" onClick={() => void practise(gold)}>
                      Make it for practice
                    </button>
                  )}
                </td>
                <td>
                  <button type="button" class="danger" onClick={() => void remove(gold)}>
                    Remove
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
