/** Five steps that show a newcomer the page, not in the way of it; then practice, if there is any. */
import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { api, body } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { command } from "../commands";
import { keysOf, keyText } from "../keymap";
import { sheet, toured } from "./sheets";

const key = (id: string) => keyText(keysOf(command(id))[0] ?? "no key");

const steps: readonly { at: string; title: string; text: () => string }[] = [
  {
    at: "stage",
    title: "The tile",
    text: () =>
      "Label what you see inside the frame. The dimmed tissue around it is there to look at. " +
      "The wheel zooms, Space held down moves the picture, " +
      `${key("view.peek")} held down shows the raw image.`,
  },
  {
    at: "side",
    title: "Labels",
    text: () =>
      `Choose what you paint here or with the keys 1 to 8; ${key("label.background")} is background, ` +
      `${key("label.unknown")} is for what nobody can tell.`,
  },
  {
    at: "toolbar",
    title: "Tools",
    text: () =>
      `Brush ${key("tool.brush")}, eraser ${key("tool.eraser")}, fill ${key("tool.fill")}, ` +
      `polygon ${key("tool.polygon")}, wand ${key("tool.wand")}. Hold Alt to erase with any of them. ${key("edit.undo")} undoes every step.`,
  },
  {
    at: "statusbar",
    title: "It is saved",
    text: () =>
      "This line says what is under the pointer, what the tool does, and that your work is saved. " +
      "It is kept on this computer too when the connection is lost.",
  },
  {
    at: "toolbar",
    title: "Done with a tile",
    text: () =>
      `${key("tile.submit")} sends it and brings the next one; ${key("tile.skip")} skips it with a reason. ` +
      `${key("help.sheet")} shows all keys.`,
  },
];

/** Opens by itself on the first visit, and from the sheet of keys; may end at the practice of project `slug`. */
export function Tour({ slug }: { slug?: string }) {
  useEffect(() => {
    if (!toured.peek().done && sheet.peek() === null) sheet.value = "tour";
  }, []);
  return sheet.value === "tour" ? <Steps slug={slug} /> : null;
}

function Steps({ slug }: { slug: string | undefined }) {
  const at = useSignal(0);
  const title = useId();
  const card = useRef<HTMLElement>(null);
  const practice = useLoaded(async () => {
    if (!slug) return null;
    const params = { path: { project: slug }, query: { limit: 1 } };
    return body(api.GET("/api/v1/projects/{project}/practice", { params }));
  }, [slug]).value.value;
  const step = steps[at.value];
  const isLast = at.value === steps.length - 1;
  const end = () => {
    toured.value = { done: true };
    if (sheet.peek() === "tour") sheet.value = null;
  };
  useEffect(() => {
    document.documentElement.dataset.tour = step.at;
    return () => void delete document.documentElement.dataset.tour;
  }, [step]);
  return (
    <section
      ref={card}
      class="tour"
      aria-labelledby={title}
      onKeyDown={(event) => event.key === "Escape" && end()}
    >
      <h2 id={title}>
        {step.title} <span class="quiet">{`${at.value + 1} of ${steps.length}`}</span>
      </h2>
      <p aria-live="polite">{step.text()}</p>
      <p class="row end">
        <button type="button" class="plain" onClick={end}>
          Close
        </button>
        <button type="button" disabled={at.value === 0} onClick={() => at.value--}>
          Back
        </button>
        {isLast && practice && practice.items.length > 0 && (
          <a class="button" href={`/projects/${slug}/practice`} onClick={end}>
            Practise first
          </a>
        )}
        {isLast ? (
          <button type="button" class="primary" onClick={end}>
            Start
          </button>
        ) : (
          <button type="button" class="primary" onClick={() => at.value++}>
            Next
          </button>
        )}
      </p>
    </section>
  );
}
