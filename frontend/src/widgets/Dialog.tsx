/** A modal dialog: the browser's own, so focus and Escape work as everywhere. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

/** Shows its children above the page until `close`. */
export function Dialog(props: { title: string; close: () => void; wide?: boolean; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} class={props.wide ? "wide" : ""} aria-labelledby={id} onClose={props.close}>
      <header class="row">
        <h2 id={id}>{props.title}</h2>
        <span class="spring" />
        <button type="button" class="plain" aria-label="Close" onClick={props.close}>
          ×
        </button>
      </header>
      {props.children}
    </dialog>
  );
}
