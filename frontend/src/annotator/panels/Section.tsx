/** A part of the side panel that can be folded away; the browser remembers how it was left. */
import type { ComponentChildren } from "preact";
import { stored } from "../../shell/stored";

const folded = stored<Record<string, boolean>>("folded", {});

/** `open` is how it is found the first time. */
export function Section(props: {
  name: string;
  title: string;
  open?: boolean;
  children: ComponentChildren;
}) {
  const isOpen = !(folded.value[props.name] ?? !props.open);
  const remember = (event: { currentTarget: HTMLDetailsElement }) => {
    if (event.currentTarget.open !== isOpen) {
      folded.value = { ...folded.value, [props.name]: !event.currentTarget.open };
    }
  };
  return (
    <details class="section" open={isOpen} onToggle={remember}>
      <summary>
        <h2>{props.title}</h2>
      </summary>
      {isOpen && props.children}
    </details>
  );
}
