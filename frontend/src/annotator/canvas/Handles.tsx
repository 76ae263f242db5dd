/** What Enter, Escape and a held key do, for a pen or a finger on the stage. */
import { peek, tool } from "../settings";
import type { Workbench } from "../workbench";
import { commitPreview, dropPreview, preview } from "./preview";
import { scribbles } from "./scribbles";
import { outline } from "./tools/polygon";
import { tools } from "./tools/tools";

/** Take or drop what a tool has begun, while there is something; the raw image while held. */
export function Handles({ bench }: { bench: Workbench }) {
  const begun = preview.value ?? outline.value ?? scribbles.value;
  const isReady = preview.value !== null || (outline.value?.points.length ?? 0) > 2;
  const end = (key: "Enter" | "Escape") => (event: { currentTarget: Element }) => {
    const frame = event.currentTarget.closest(".stage-frame");
    const taken = tools.peek()?.[tool.peek()].key?.(key);
    if (!taken && key === "Enter") commitPreview(bench);
    else if (!taken) dropPreview();
    // the buttons are gone
    frame?.querySelector<HTMLElement>(".stage")?.focus({ preventScroll: true });
  };
  const hold = (on: boolean) => () => void (peek.value = on);
  return (
    <>
      {begun && (
        <p class="handles proposal row">
          <button type="button" class="primary" disabled={!isReady} onClick={end("Enter")}>
            Take
          </button>
          <button type="button" onClick={end("Escape")}>
            Drop
          </button>
        </p>
      )}
      <button
        type="button"
        class="handles raw"
        aria-pressed={peek.value}
        title="The raw image, while held"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          peek.value = true;
        }}
        onLostPointerCapture={hold(false)}
        onContextMenu={(event) => event.preventDefault()}
        onKeyDown={({ key }) => {
          if (key === " " || key === "Enter") peek.value = true;
        }}
        onKeyUp={hold(false)}
        onBlur={hold(false)}
      >
        Raw
      </button>
    </>
  );
}
