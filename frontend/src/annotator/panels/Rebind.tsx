/** Choosing other keys: press the new one, see who had it, take it or leave it. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Dialog } from "../../widgets/Dialog";
import { type Command, commands, groups } from "../commands";
import {
  bind,
  chosenKeys,
  commandFor,
  conflicts,
  keyName,
  keysOf,
  keyText,
  refusal,
  resetKeys,
} from "../keymap";
import { sheet } from "./sheets";

/** Every command with its keys. */
export function Rebind() {
  if (sheet.value !== "keys") return null;
  const close = () => {
    if (sheet.peek() === "keys") sheet.value = null;
  };
  return (
    <Dialog title="Change the keys" close={close} wide>
      <div class="keytable">
        <table>
          <tbody>
            {groups.map((group) => (
              <>
                <tr key={group}>
                  <th colSpan={2} scope="colgroup">
                    {group}
                  </th>
                </tr>
                {commands
                  .filter((command) => command.group === group)
                  .map((command) => (
                    <Row key={command.id} command={command} />
                  ))}
              </>
            ))}
          </tbody>
        </table>
      </div>
      <p class="row end">
        <button
          type="button"
          disabled={Object.keys(chosenKeys.value).length === 0}
          onClick={() => resetKeys()}
        >
          All keys as they were
        </button>
        <button type="button" class="primary" onClick={close}>
          Done
        </button>
      </p>
    </Dialog>
  );
}

function Row({ command }: { command: Command }) {
  const keys = keysOf(command);
  return (
    <tr>
      <td>{command.title}</td>
      <td>
        <div class="row">
          {keys.map((key) => (
            <span key={key} class={conflicts.value.has(key) ? "keychip wrong" : "keychip"}>
              <kbd>{keyText(key)}</kbd>
              {conflicts.value.has(key) && <span> twice</span>}
              <button
                type="button"
                class="plain small"
                aria-label={`Take ${keyText(key)} away from ${command.title}`}
                onClick={() => bind(command, keys.filter((other) => other !== key))}
              >
                ×
              </button>
            </span>
          ))}
          <Capture command={command} />
          {command.id in chosenKeys.value && (
            <button
              type="button"
              class="small"
              aria-label={`Reset the keys of ${command.title}`}
              onClick={() => resetKeys(command)}
            >
              Reset
            </button>
          )}
        </div>
      </td>
    </tr>
  );
}

/** Waits for a key; asks before it is taken from another command. */
function Capture({ command }: { command: Command }) {
  const state = useSignal<"idle" | "waiting">("idle");
  const wanted = useSignal<string | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const done = () => {
    state.value = "idle";
    wanted.value = null;
    button.current?.focus();
  };
  const take = (key: string) => {
    bind(command, [...new Set([...keysOf(command), key])]);
    done();
  };
  useEffect(() => {
    if (state.value !== "waiting") return;
    const listen = (event: KeyboardEvent) => {
      // whatever is pressed is meant for this, not for the dialog or the page
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Escape") return done();
      const key = keyName(event);
      if (key === null) return;
      const other = commandFor(key);
      state.value = "idle";
      if (refusal(key) !== null || (other && other !== command)) wanted.value = key;
      else take(key);
    };
    addEventListener("keydown", listen, true);
    return () => removeEventListener("keydown", listen, true);
  }, [state.value]);
  const refused = wanted.value === null ? null : refusal(wanted.value);
  return (
    <>
      <button
        ref={button}
        type="button"
        class="small"
        aria-label={`Add a key for ${command.title}`}
        onClick={() => {
          wanted.value = null;
          state.value = "waiting";
        }}
      >
        {state.value === "waiting" ? "Press a key …" : "Add"}
      </button>
      {wanted.value !== null && (
        <span class="clash" role="alert">
          {refused ?? `${keyText(wanted.value)} is the key of “${commandFor(wanted.value)?.title}”.`}{" "}
          {refused === null && (
            <button type="button" class="small" onClick={() => take(wanted.value as string)}>
              Use it here instead
            </button>
          )}{" "}
          <button type="button" class="small" onClick={done}>
            Leave it
          </button>
        </span>
      )}
    </>
  );
}
