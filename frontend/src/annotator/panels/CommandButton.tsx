/** A button for a command of the list. */
import type { ComponentChildren } from "preact";
import { type Command, type Context, command } from "../commands";
import { keyHint, keysOf } from "../keymap";
import { Icon } from "./icons";

/** Says its key in the tooltip and shows whether a switch is on. */
export function CommandButton(props: {
  id: string;
  context: Context;
  disabled?: boolean;
  class?: string;
  tabIndex?: number;
  children?: ComponentChildren;
}) {
  const found: Command = command(props.id);
  const keys = keysOf(found).map(ariaKey).join(" ");
  return (
    <button
      type="button"
      class={props.class}
      title={found.title + keyHint(found)}
      aria-keyshortcuts={keys || undefined}
      aria-pressed={found.pressed?.()}
      disabled={props.disabled ?? false}
      tabIndex={props.tabIndex}
      onClick={() => found.run(props.context)}
    >
      {found.button && <Icon name={found.button[0]} />}
      <span>{props.children ?? found.button?.[1] ?? found.title}</span>
    </button>
  );
}

/** A key as the aria-keyshortcuts attribute wants it. */
function ariaKey(name: string): string {
  const apple = /Mac|iPhone|iPad/.test(navigator.userAgent);
  return name.replace("Mod+", apple ? "Meta+" : "Control+").replace(/\+$/, "Plus");
}
