/** The head of the live order: each tile with its picture and its reason. */
import { useState } from "preact/hooks";
import { api, body } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { TilePicture } from "../TilePicture";

const MORE = 10;

/** Why these tiles, in the order they are served. */
export function WhyThese({ query }: { query: string }) {
  const [limit, setLimit] = useState(MORE);
  const ranks = useLoaded(
    () => body(api.GET("/api/v1/queries/{query}/tiles", { params: { path: { query }, query: { limit } } })),
    [query, limit],
  );
  if (ranks.error.value) return <p role="alert">{ranks.error.value.message}</p>;
  const found = ranks.value.value;
  return (
    <section aria-labelledby="why">
      <h2 id="why">Why these tiles</h2>
      <table>
        <thead>
          <tr>
            <th class="number">Rank</th>
            <th>Tile</th>
            <th>Why</th>
            <th class="number">Score</th>
          </tr>
        </thead>
        <tbody>
          {found?.items.map((ranked) => (
            <tr key={ranked.tile.id}>
              <td class="number">{ranked.rank}</td>
              <td>
                <TilePicture tile={ranked.tile} />
              </td>
              <td>
                {ranked.reason}
                <details>
                  <summary>Parts of its score</summary>
                  <ul>
                    {Object.entries(ranked.parts).map(([name, value]) => (
                      <li key={name}>
                        {name}: {value.toPrecision(3)}
                      </li>
                    ))}
                  </ul>
                </details>
              </td>
              <td class="number">{ranked.score.toPrecision(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found?.next && (
        <button type="button" onClick={() => setLimit(limit + MORE)}>
          More
        </button>
      )}
    </section>
  );
}
