/** Pictures of how a label is painted, and how not. */
import type { ComponentChildren } from "preact";
import type { Label, Schemas } from "../../api/client";

/** The examples of a label; `beside` is what stands with each of them. */
export function Examples(props: {
  label: Label;
  beside?: (example: Schemas["ExampleView"]) => ComponentChildren;
}) {
  const { label, beside } = props;
  if (label.examples.length === 0) return null;
  return (
    <div class="examples">
      {label.examples.map((example) => (
        <figure key={example.id} class={example.good ? "" : "bad"}>
          <img
            src={`/api/v1/examples/${example.id}/picture`}
            width={example.width}
            height={example.height}
            loading="lazy"
            alt={`Example of ${label.name}`}
          />
          <figcaption>
            <strong>{example.good ? "Like this" : "Not like this"}</strong>
            {example.caption && `: ${example.caption}`} {beside?.(example)}
          </figcaption>
        </figure>
      ))}
    </div>
  );
}
