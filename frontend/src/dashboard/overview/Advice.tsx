/** Which organelles more tiles would still teach. */
import type { Label, Schemas } from "../../api/client";

/** One line per organelle: enough, go on, or not known, each with its reason. */
export function Advice(props: { labels: readonly Label[]; advice: Record<string, Schemas["AdviceView"]> }) {
  return (
    <section aria-labelledby="advice">
      <h3 id="advice">Is it enough?</h3>
      <ul>
        {props.labels.map((label) => {
          const said = props.advice[label.name];
          if (!said) return null;
          return (
            <li key={label.value}>
              <b>{label.name}</b>: {verdict(said.enough)} <span class="quiet">{said.reason}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function verdict(enough: boolean | null): string {
  if (enough === null) return "not known yet.";
  return enough ? "enough." : "go on.";
}
