/** What may be a slip, said before a tile is sent; it warns and never stops. */
import type { Finding } from "../../raster/lint";
import { Dialog } from "../../widgets/Dialog";
import { jumpTo } from "../canvas/viewport";
import { choose } from "./acts";
import type { Workbench } from "../workbench";

/** The findings, each with a way to see it, and the choice to send the tile all the same. */
export function LintDialog(props: {
  bench: Workbench;
  findings: readonly Finding[];
  submit: () => void;
  close: () => void;
}) {
  const { bench, findings } = props;
  const show = ({ at, value }: Finding) => {
    if (at === null) return;
    if (value !== null) choose(value);
    jumpTo(bench, at.x, at.y, Math.max(4, bench.view.peek().scale));
    props.close();
  };
  return (
    <Dialog title="Before the tile is sent" close={props.close}>
      <p>{findings.length === 1 ? "One thing" : `${findings.length} things`} may be a slip:</p>
      <ul class="findings">
        {findings.map((finding) => {
          const text = findingText(bench, finding);
          return (
            <li key={`${finding.kind} ${finding.value}`}>
              <span>{text}</span>
              {finding.at && (
                <button
                  type="button"
                  class="small"
                  aria-label={`Show: ${text}`}
                  onClick={() => show(finding)}
                >
                  Show
                </button>
              )}
            </li>
          );
        })}
      </ul>
      <p class="row end">
        <button type="button" autofocus onClick={props.close}>
          Go back
        </button>
        <button type="button" class="primary" onClick={props.submit}>
          Submit anyway
        </button>
      </p>
    </Dialog>
  );
}

/** A finding in words. */
export function findingText(bench: Workbench, { kind, value, count, at }: Finding): string {
  const labels = bench.sheet.project.labels;
  const name = labels.find((label) => label.value === value)?.name ?? `value ${value}`;
  const many = (one: string, more: string) => (count === 1 ? `One ${one}` : `${count} ${more}`);
  switch (kind) {
    case "speck":
      return `${many("speck", "specks")} of ${name}: parts of a few pixels.`;
    case "hole":
      return `${many("small hole", "small holes")} in ${name}.`;
    case "thin-gap":
      return `${many("gap", "gaps")} in ${name}, one pixel wide.`;
    case "untouched-prelabel":
      return "The labels are the pre-label, with nothing changed.";
    case "too-fast":
      return `You worked on it for ${count} ${count === 1 ? "second" : "seconds"} only.`;
    case "empty-class":
      return at === null
        ? `There is no ${name} here, though you say that all of it is marked.`
        : `There is no ${name} here, though the model sees some.`;
  }
}
