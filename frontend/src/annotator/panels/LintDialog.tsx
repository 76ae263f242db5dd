/** What may be a slip, said before a tile is sent; it warns and never stops. */
import { useEffect } from "preact/hooks";
import type { Finding } from "../../raster/lint";
import { Dialog } from "../../widgets/Dialog";
import { flagged } from "../canvas/hotspots";
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
  useEffect(() => void (flagged.value = null), []);
  const show = ({ at, value, places = [] }: Finding) => {
    if (at === null) return;
    flagged.value = { bench, places };
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
            <li key={`${finding.kind} ${finding.value} ${finding.other}`}>
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
export function findingText(bench: Workbench, { kind, value, count, at, other }: Finding): string {
  const nameOf = (wanted: number | null | undefined) =>
    bench.sheet.project.labels.find((label) => label.value === wanted)?.name ?? `value ${wanted}`;
  const name = nameOf(value);
  const many = (one: string, more: string) => (count === 1 ? `One ${one}` : `${count} ${more}`);
  switch (kind) {
    case "speck":
      return `${many("speck", "specks")} of ${name}: parts of a few pixels.`;
    case "hole":
      return `${many("small hole", "small holes")} in ${name}.`;
    case "thin-gap":
      return `${many("gap", "gaps")} in ${name}, one pixel wide.`;
    case "touching":
      return `${name} touches ${nameOf(other)} ${count === 1 ? "in one place" : `in ${count} places`}; they should not.`;
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
