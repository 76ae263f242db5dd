/** The legend: what can be painted, how much of it there is, and what is shown and locked. */
import { useEffect, useId } from "preact/hooks";
import { UNKNOWN } from "../../raster/types";
import { patternAt } from "../canvas/layers/labels";
import { command } from "../commands";
import { keysOf, keyText } from "../keymap";
import { hidden, locked, overlay, paintValue } from "../settings";
import type { Workbench } from "../workbench";
import { choose, solo, toggle } from "./acts";
import { Icon, type IconName } from "./icons";
import { shareText, useShares } from "./shares";

interface Row {
  readonly value: number;
  readonly name: string;
  readonly colour: string | null;
  readonly id: string;
  readonly asked: boolean;
  readonly pattern?: number | undefined;
}

/** The labels of the project, background and unknown, as one group of radio buttons. */
export function Labels({ bench }: { bench: Workbench }) {
  const { asked, project, box } = bench.sheet;
  const counts = useShares(bench).value;
  const name = useId();
  const partial = asked.length < project.labels.length;
  useEffect(() => {
    const isAsked = asked.some((label) => label.value === paintValue.peek());
    if (!isAsked && paintValue.peek() !== UNKNOWN && asked[0]) paintValue.value = asked[0].value;
  }, [bench]);
  const rows: Row[] = [
    ...project.labels.map((label, index) => ({
      value: label.value,
      name: label.name,
      colour: label.colour,
      id: `label.${index + 1}`,
      asked: partial && asked.some((one) => one.value === label.value),
      pattern: overlay.value.patterns ? patternAt(index) : undefined,
    })),
    { value: 0, name: "Background", colour: null, id: "label.background", asked: false },
    { value: UNKNOWN, name: "Unknown", colour: null, id: "label.unknown", asked: false },
  ];
  return (
    <>
      {partial && (
        <p class="ask">
          This tile asks for <strong>{asked.map((label) => label.name).join(", ")}</strong> only.
        </p>
      )}
      <fieldset class="labels">
        <legend class="unseen">What is painted</legend>
        {rows.map((row) => (
          <LabelRow
            key={row.value}
            row={row}
            bench={bench}
            group={name}
            share={shareText(counts[row.value], box.w * box.h)}
          />
        ))}
      </fieldset>
      <CompleteFor bench={bench} />
    </>
  );
}

function LabelRow(props: { row: Row; bench: Workbench; group: string; share: string }) {
  const { row, bench } = props;
  const isLabel = row.value !== 0 && row.value !== UNKNOWN;
  const found = keyed(row.id);
  const isHidden = hidden.value.has(row.value);
  const others = bench.sheet.project.labels.length - 1;
  const isAlone = !isHidden && others > 0 && hidden.value.size === others;
  const isLocked = locked.value.has(row.value);
  return (
    <div class={row.value === paintValue.value ? "label chosen" : "label"} data-value={row.value}>
      <label title={row.name}>
        <input
          type="radio"
          name={props.group}
          checked={row.value === paintValue.value}
          onChange={() => choose(row.value)}
        />
        <Swatch {...row} />
        <span class="what">
          <span class="name">{row.name}</span>
          <span class="share">{props.share}</span>
        </span>
        {row.asked && <span class="asked">asked</span>}
        {found && (
          <kbd>
            <span class="unseen">key </span>
            {found}
          </kbd>
        )}
      </label>
      <span class="switches">
        {isLabel && (
          <>
            <Switch
              icon={isHidden ? "hidden" : "shown"}
              text={`Hide ${row.name}`}
              on={isHidden}
              flip={() => toggle(hidden, row.value)}
            />
            <Switch
              icon="solo"
              text={`Show only ${row.name}`}
              on={isAlone}
              flip={() => solo(bench, row.value)}
            />
          </>
        )}
        <Switch
          icon={isLocked ? "locked" : "open"}
          text={`Lock ${row.name}`}
          on={isLocked}
          flip={() => toggle(locked, row.value)}
        />
      </span>
    </div>
  );
}

/** A label's colour, and its pattern where patterns are drawn; background is empty. */
export function Swatch(props: { value: number; colour: string | null; pattern?: number | undefined }) {
  const { value, colour, pattern } = props;
  if (value === UNKNOWN) return <i class="swatch hatched" />;
  const style = colour === null ? {} : { background: colour };
  return <i class="swatch" data-pattern={pattern} style={style} />;
}

function Switch(props: { icon: IconName; text: string; on: boolean; flip: () => void }) {
  return (
    <button
      type="button"
      class="small"
      title={props.text}
      aria-label={props.text}
      aria-pressed={props.on}
      onClick={props.flip}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** Which labels are marked in full when the tile is sent. */
function CompleteFor({ bench }: { bench: Workbench }) {
  const complete = bench.completeFor.value;
  const { before, project } = bench.sheet;
  const flip = (value: number) => {
    bench.completeFor.value = complete.includes(value)
      ? complete.filter((other) => other !== value)
      : [...complete, value].sort((a, b) => a - b);
  };
  return (
    <fieldset class="complete">
      <legend>Complete for (every pixel is marked)</legend>
      {project.labels.map(({ value, name }) => (
        <label key={value}>
          <input
            type="checkbox"
            checked={complete.includes(value) || before.includes(value)}
            disabled={before.includes(value)}
            onChange={() => flip(value)}
          />
          {name}
          {before.includes(value) && <span class="quiet">from before</span>}
        </label>
      ))}
      {complete.length + before.length < project.labels.length && (
        <p class="quiet">Where the others are not painted, nothing is learnt about them.</p>
      )}
    </fieldset>
  );
}

function keyed(id: string): string | null {
  const index = Number(id.split(".")[1]);
  if (index > 8) return null;
  const [first] = keysOf(command(id));
  return first === undefined ? null : keyText(first);
}
