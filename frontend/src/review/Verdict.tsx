/** The reviewer's word: accept, mend and accept, or send back. */
import { useEffect, useState } from "preact/hooks";
import type { Pin } from "./Pins";

/** Sending back needs a word: a comment, or a pin with a text. */
export function Verdict(props: {
  pins: readonly Pin[];
  judge: (accept: boolean, comment: string, gold?: boolean) => Promise<void>;
  mend: () => void;
}) {
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState<string | null>(null);

  async function say(accept: boolean, gold?: boolean) {
    if (busy) return;
    const lacks = lacking(accept, comment, props.pins);
    setMissing(lacks);
    if (lacks !== null) return;
    setBusy(true);
    await props.judge(accept, comment.trim(), gold);
    setBusy(false);
  }
  useEffect(() => {
    const submit = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      // a key held down would accept the next tile before anybody has seen it
      if (event.repeat || event.isComposing) return;
      if (hasWords(comment, props.pins)) setMissing("You have written something: choose Accept or Send back.");
      else void say(true);
    };
    addEventListener("keydown", submit);
    return () => removeEventListener("keydown", submit);
  });

  return (
    <section class="form">
      <h2>Verdict</h2>
      <p class="quiet">Click on the painted tile to pin a comment to a pixel, or go there with the arrows and press Enter.</p>
      <label>
        Comment
        <textarea
          rows={3}
          maxLength={2000}
          value={comment}
          onInput={(event) => setComment(event.currentTarget.value)}
        />
      </label>
      {missing && (
        <p role="alert" class="wrong">
          {missing}
        </p>
      )}
      <p class="row">
        <button type="button" class="primary" disabled={busy} title="Ctrl+Enter" onClick={() => say(true)}>
          Accept
        </button>
        <button
          type="button"
          disabled={busy}
          title="And measure people by it on this tile"
          onClick={() => say(true, true)}
        >
          Accept as gold
        </button>
        <button type="button" disabled={busy} onClick={props.mend}>
          Mend and accept
        </button>
        <button type="button" class="danger" disabled={busy} onClick={() => say(false)}>
          Send back
        </button>
      </p>
    </section>
  );
}

function lacking(accept: boolean, comment: string, pins: readonly Pin[]): string | null {
  if (pins.some((pin) => pin.text.trim() === "")) {
    return "A pin has no text: write what is wrong there, or take it away.";
  }
  if (accept || hasWords(comment, pins)) return null;
  return "Say what is to be mended: a comment, or a click on the place.";
}

function hasWords(comment: string, pins: readonly Pin[]): boolean {
  return comment.trim() !== "" || pins.length > 0;
}
