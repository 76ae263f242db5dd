/** Dice of every organelle as bars, with the interval where there is one. */
import type { Label, Schemas } from "../../api/client";

/** One bar per label; the thin line is the 95 % interval over tiles. */
export function DiceBars(props: { labels: readonly Label[]; quality: Record<string, Schemas["Figures"]> }) {
  return (
    <figure class="card">
      <figcaption>Dice of each organelle</figcaption>
      <ul class="bars">
        {props.labels.map((label) => {
          const figures = props.quality[label.name];
          const dice = figures?.dice ?? null;
          const [low, high] = [figures?.dice_low ?? null, figures?.dice_high ?? null];
          return (
            <li key={label.value}>
              <span>{label.name}</span>
              <span class="track">
                <i style={{ width: `${100 * (dice ?? 0)}%`, background: label.colour }} />
                {low !== null && high !== null && (
                  <b style={{ left: `${100 * low}%`, width: `${100 * (high - low)}%` }} />
                )}
              </span>
              <span class="number">{dice === null ? "–" : dice.toFixed(3)}</span>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}
