/** All keys and what the mouse does. */
import { Dialog } from "../../widgets/Dialog";
import { type Command, commands, groups } from "../commands";
import { hand, keysOf, keyText } from "../keymap";
import { sheet } from "./sheets";

const gestures: readonly (readonly [string, string])[] = [
  ["Wheel", "Zoom at the pointer"],
  ["Shift + wheel", "Size of the brush"],
  ["Space held, or the middle button", "Move the tile"],
  ["Alt held, the right button, or a pen's other end", "Erase with any brush"],
  ["Shift + click", "Pick the label there"],
  ["Enter", "Close a polygon, take what a tool proposes"],
  ["Backspace", "Take back a corner"],
  ["Escape", "Drop what a tool has begun"],
];

/** With the tile in focus and no mouse. */
const crosshair: typeof gestures = [
  ["Arrows, with Shift by ten", "Move a crosshair"],
  ["Enter", "Use the tool there: a dab, a corner, a click"],
  ["Enter twice", "Close a polygon on its last corner"],
  ["Shift + Enter", "Put the brush down, and lift it again"],
];

/** The sheet; opens with `?`. */
export function HelpSheet() {
  if (sheet.value !== "help") return null;
  const close = () => {
    if (sheet.peek() === "help") sheet.value = null;
  };
  return (
    <Dialog title="Keys" close={close} wide>
      <div class="keysheet">
        {groups.map((group) => (
          <Group key={group} title={group} />
        ))}
        <Gestures title="Mouse and pen" list={gestures} />
        <Gestures title="On the tile, without a mouse" list={crosshair} />
      </div>
      <p class="row">
        <button type="button" onClick={() => (sheet.value = "keys")}>
          Change the keys
        </button>
        <button type="button" onClick={() => (sheet.value = "tour")}>
          Show me around again
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={hand.value.holds === "left"}
            onChange={() => (hand.value = { holds: hand.value.holds === "left" ? "right" : "left" })}
          />
          My left hand holds the mouse or pen
        </label>
      </p>
    </Dialog>
  );
}

function Gestures({ title, list }: { title: string; list: typeof gestures }) {
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <dl>
        {list.map(([gesture, means]) => (
          <div key={gesture}>
            <dt>{gesture}</dt>
            <dd>{means}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Group({ title }: { title: Command["group"] }) {
  const keyed = commands.filter(
    (command) => command.group === title && keysOf(command).length > 0,
  );
  if (keyed.length === 0) return null;
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <dl>
        {keyed.map((command) => (
          <Line key={command.id} command={command} />
        ))}
      </dl>
    </section>
  );
}

function Line({ command }: { command: Command }) {
  return (
    <div>
      <dt>
        {keysOf(command).map((key, index) => (
          <>
            {index > 0 && " or "}
            <kbd key={key}>{keyText(key)}</kbd>
          </>
        ))}
      </dt>
      <dd>{command.title}</dd>
    </div>
  );
}
