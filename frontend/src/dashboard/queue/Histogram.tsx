/** How a criterion scored all tiles it could have chosen, and where the chosen ones begin. */
import type { Schemas } from "../../api/client";

const [WIDTH, HEIGHT] = [400, 120];

/** Twenty bars; those at or above the least chosen score are marked. */
export function Histogram({ histogram }: { histogram: Schemas["HistogramView"] }) {
  const { edges, counts, lowest, chosen, criterion } = histogram;
  const most = Math.max(1, ...counts);
  const width = WIDTH / counts.length;
  const words = `${criterion}: ${counts.reduce((a, b) => a + b, 0)} tiles scored, ${chosen} of the head chosen by it`;
  return (
    <figure class="card">
      <figcaption>{words}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT + 16}`} role="img" aria-label={`Histogram of scores: ${words}`}>
        {counts.map((count, n) => {
          const height = count === 0 ? 0 : Math.max(1, (HEIGHT * Math.sqrt(count)) / Math.sqrt(most));
          return (
            <rect
              key={n}
              x={n * width + 1}
              y={HEIGHT - height}
              width={width - 2}
              height={height}
              fill={lowest !== null && edges[n + 1] >= lowest ? "var(--accent)" : "var(--line)"}
            >
              <title>{`${edges[n].toPrecision(3)} to ${edges[n + 1].toPrecision(3)}: ${count} tiles`}</title>
            </rect>
          );
        })}
        <text x="0" y={HEIGHT + 13} class="axis">
          {edges[0].toPrecision(3)}
        </text>
        <text x={WIDTH} y={HEIGHT + 13} text-anchor="end" class="axis">
          {edges[edges.length - 1].toPrecision(3)}
        </text>
      </svg>
    </figure>
  );
}
