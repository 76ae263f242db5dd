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
  const { bench } = props;
  // an empty tile lacks every label: that is one thing to think about, not six
  const absent = props.findings.filter(({ kind, at }) => kind === "empty-class" && at === null);
  const findings = props.findings.filter((one) => !absent.includes(one));
  const things = findings.length + Math.min(1, absent.length);
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
      <p>{things === 1 ? "One thing" : `${things} things`} may be a slip:</p>
      <ul class="findings">
        {absent.length > 0 && <li>{absentText(bench, absent)}</li>}
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
function findingText(bench: Workbench, { kind, value, count, other }: Finding): string {
  const name = nameOf(bench, value);
  const many = (one: string, more: string) => (count === 1 ? `One ${one}` : `${count} ${more}`);
  switch (kind) {
    case "speck":
      return `${many("speck", "specks")} of ${name}: parts of a few pixels.`;
    case "hole":
      return `${many("small hole", "small holes")} in ${name}.`;
    case "thin-gap":
      return `${many("gap", "gaps")} in ${name}, one pixel wide.`;
    case "touching":
      return `${name} touches ${nameOf(bench, other)} ${count === 1 ? "in one place" : `in ${count} places`}; they should not.`;
    case "untouched-prelabel":
      return "The labels are the pre-label, with nothing changed.";
    case "too-fast":
      return `You worked on it for ${count} ${count === 1 ? "second" : "seconds"} only.`;
    case "empty-class":
      return `There is no ${name} here, though the model sees some.`;
  }
}

function absentText(bench: Workbench, absent: readonly Finding[]): string {
  const names = absent.map(({ value }) => nameOf(bench, value));
  return `Marked in full, yet not there: ${names.join(", ")}. If that is so, send it.`;
}

function nameOf(bench: Workbench, wanted: number | null | undefined): string {
  const label = bench.sheet.project.labels.find(({ value }) => value === wanted);
  return label?.name ?? `value ${wanted}`;
}
