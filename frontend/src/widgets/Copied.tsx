/** Words to be taken elsewhere. */
import { useRef } from "preact/hooks";
import { tell } from "../shell/toasts";

/** The words and a button that copies them. */
export function Copied({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // plain http has no clipboard: the old way copies what is selected
      getSelection()?.selectAllChildren(code.current as HTMLElement);
      if (!document.execCommand("copy")) return tell("It is selected: copy it with Ctrl+C.");
    }
    tell("Copied.");
  }
  return (
    <>
      <code ref={code}>{text}</code>{" "}
      <button type="button" onClick={() => void copy()}>
        Copy
      </button>
    </>
  );
}
