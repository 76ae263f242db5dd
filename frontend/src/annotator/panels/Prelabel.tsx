/** What the live version says of the tile, to take over or to look at. */
import { Choice } from "../../widgets/Choice";
import { command, type Context, record } from "../commands";
import { shownLabels, tool } from "../settings";
import { CommandButton } from "./CommandButton";
import { Swatch } from "./Labels";
import { acceptLabel, clearLabel } from "./prelabel";

/** Accept or clear per label, accept all, and which labels are seen. */
export function Prelabel({ context }: { context: Context }) {
  const { bench } = context;
  const { prelabel, asked } = bench.sheet;
  if (prelabel === null) return <p class="quiet">This tile comes without a pre-label.</p>;
  return (
    <>
      <Choice
        label="Show"
        options={[
          ["mine", "Mine"],
          ["prelabel", "Pre-label"],
          ["difference", "Difference"],
        ]}
        value={shownLabels.value}
        change={(shown) => (shownLabels.value = shown)}
      />
      <p class="quiet">
        {shownLabels.value === "mine"
          ? "Dashed outlines are the model's: nothing inside them counts until you accept or paint it."
          : "Painting goes into your labels."}
      </p>
      <ul class="acceptances">
        {asked.map((label) => (
          <li key={label.value}>
            <Swatch value={label.value} colour={label.colour} />
            <span class="name">{label.name}</span>
            <button
              type="button"
              class="small"
              aria-label={`Accept the pre-label of ${label.name}`}
              onClick={() => record(bench, acceptLabel(bench, label.value))}
            >
              Accept
            </button>
            <button
              type="button"
              class="small"
              aria-label={`Clear ${label.name} from the tile`}
              onClick={() => record(bench, clearLabel(bench, label.value))}
            >
              Clear
            </button>
          </li>
        ))}
      </ul>
      <p class="row">
        <CommandButton id="prelabel.all" context={context}>
          Accept all
        </CommandButton>
        <button
          type="button"
          aria-pressed={tool.value === "restore"}
          onClick={() => command("tool.restore").run(context)}
        >
          Restore with the brush
        </button>
      </p>
    </>
  );
}
