/** Whether the tiles that were chosen held more of what networks had missed than others. */
import type { Label, Schemas } from "../../api/client";

type Rounds = readonly Schemas["RoundView"][];

/** Missed pixels per tile, chosen and drawn by chance; nothing until both are known. */
export function Found({ labels, rounds }: { labels: readonly Label[]; rounds: Rounds }) {
  const rows = labels.flatMap((label) => {
    const { chosen_tiles, chosen_missed, chance_tiles, chance_missed } = together(rounds, label.name);
    if (!chosen_tiles || !chance_tiles) return [];
    const [chosen, chance] = [chosen_missed / chosen_tiles, chance_missed / chance_tiles];
    return [
      <tr key={label.value}>
        <th>{label.name}</th>
        <td class="number">{Math.round(chosen)}</td>
        <td class="number">{Math.round(chance)}</td>
        <td class="number">{chance > 0 ? `${(chosen / chance).toFixed(1)} ×` : "–"}</td>
      </tr>,
    ];
  });
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="found">
      <h3 id="found">Does the order find what is missed?</h3>
      <table>
        <thead>
          <tr>
            <th>Pixels the network had missed, per tile</th>
            <th class="number">tiles it asked for</th>
            <th class="number">tiles drawn by chance</th>
            <th class="number">ratio</th>
          </tr>
        </thead>
        <tbody>{rows}</tbody>
      </table>
    </section>
  );
}

function together(rounds: Rounds, label: string): Required<Schemas["FoundView"]> {
  const sum = { chosen_tiles: 0, chosen_missed: 0, chance_tiles: 0, chance_missed: 0 };
  for (const round of rounds) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += round.found[label]?.[name] ?? 0;
  }
  return sum;
}
