/** A question that has to be answered before something irrevocable is done. */
import { signal } from "@preact/signals";
import { Dialog } from "./Dialog";

interface Question {
  title: string;
  text: string;
  yes: string;
  answer: (yes: boolean) => void;
}

const question = signal<Question | null>(null);

/** Ask; true when the person says yes. */
export function confirm(title: string, text: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => {
    const answer = (said: boolean) => {
      question.value = null;
      resolve(said);
    };
    question.value = { title, text, yes, answer };
  });
}

/** Where the question appears; stands once, in the frame. */
export function Confirmation() {
  const asked = question.value;
  if (!asked) return null;
  return (
    <Dialog title={asked.title} close={() => asked.answer(false)}>
      <p>{asked.text}</p>
      <p class="row end">
        <button type="button" onClick={() => asked.answer(false)}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={() => asked.answer(true)}>
          {asked.yes}
        </button>
      </p>
    </Dialog>
  );
}
