/** Files on their way, and those that stopped on another day. */
import { useLoaded } from "../../shell/load";
import { complain } from "../../shell/toasts";
import { confirm } from "../../widgets/confirm";
import { forget, type Unfinished, unfinished } from "./memory";
import { cancel, dismiss, drop, memoryVersion, pause, resume, type Transfer, transfers } from "./sending";
import { standing } from "./tus";
import { bytesInWords } from "./words";

/** Progress of each file, with what can be done about it. */
export function Transfers({ slug }: { slug: string }) {
  const own = transfers.value.filter((one) => one.mark.project === slug);
  const done = own.filter((one) => one.state === "done");
  return (
    <>
      {own.length > 0 && (
        <section aria-label="Files on their way">
          <ul class="transfers">
            {own.map((transfer) => (
              <Row key={transfer.id} transfer={transfer} />
            ))}
          </ul>
          {done.length > 0 && (
            <p>
              <button type="button" onClick={() => done.forEach((one) => dismiss(one.id))}>
                Clear what has arrived
              </button>
            </p>
          )}
        </section>
      )}
      <Left slug={slug} />
    </>
  );
}

function Row({ transfer }: { transfer: Transfer }) {
  const { id, file, state, sent, why } = transfer;

  async function giveUp() {
    const text = `What has arrived of ${file.name} is forgotten.`;
    if (sent > 0 && !(await confirm("Give the upload up?", text, "Give up"))) return;
    await cancel(id).catch(complain);
  }

  return (
    <li>
      <span class="name">{file.name}</span>
      <progress aria-label={`Progress of ${file.name}`} max={file.size} value={sent} />
      <span class="quiet">{said(transfer)}</span>
      <span class="row">
        {(state === "sending" || state === "waiting") && (
          <button type="button" aria-label={`Pause ${file.name}`} onClick={() => pause(id)}>
            Pause
          </button>
        )}
        {state === "paused" && (
          <button type="button" aria-label={`Go on with ${file.name}`} onClick={() => resume(id)}>
            Go on
          </button>
        )}
        {state === "failed" && (
          <button type="button" aria-label={`Try again with ${file.name}`} onClick={() => resume(id)}>
            Try again
          </button>
        )}
        {state !== "done" && (
          <button type="button" class="danger" aria-label={`Cancel ${file.name}`} onClick={giveUp}>
            Cancel
          </button>
        )}
      </span>
      {why && (
        <span role="status" class={state === "failed" ? "wrong" : "warn"}>
          {state === "sending" ? `${why} Trying again …` : why}
        </span>
      )}
    </li>
  );
}

function said({ state, sent, file }: Transfer): string {
  const share = `${Math.floor((100 * sent) / file.size)} % of ${bytesInWords(file.size)}`;
  switch (state) {
    case "waiting":
      return sent > 0 ? `${share}, waits` : "waits";
    case "done":
      return "arrived";
    case "sending":
      return sent === file.size ? "being checked" : share;
    default:
      return `${share}, ${state}`;
  }
}

function Left({ slug }: { slug: string }) {
  const left = useLoaded(() => asked(slug), [slug, memoryVersion.value]);
  const own = transfers.value;
  const shown = left.value.value?.filter(
    ({ upload }) => !own.some(({ mark }) => mark.name === upload.name && mark.size === upload.size),
  );
  if (!shown || shown.length === 0) return null;
  return (
    <section aria-label="Unfinished uploads" class="banner">
      <p>These uploads stopped half-way. Choose the same files again, and they go on where they were.</p>
      <ul class="transfers">
        {shown.map(({ upload, offset }) => (
          <li key={upload.url}>
            <span class="name">{upload.name}</span>
            <progress aria-label={`Progress of ${upload.name}`} max={upload.size} value={offset} />
            <span class="quiet">
              {Math.floor((100 * offset) / upload.size)} % of {bytesInWords(upload.size)}
            </span>
            <button
              type="button"
              aria-label={`Forget ${upload.name}`}
              onClick={() => void drop(upload, upload.url).catch(complain)}
            >
              Forget
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What the server still has of the uploads this browser remembers. */
async function asked(slug: string): Promise<{ upload: Unfinished; offset: number }[]> {
  const answers = unfinished(slug).map(async (upload) => {
    try {
      const { offset, image } = await standing(upload.url);
      if (image === null) return [{ upload, offset }];
    } catch {
      // expired, or not to be asked now: choosing the file again settles it
      return [];
    }
    forget(upload);
    return [];
  });
  return (await Promise.all(answers)).flat();
}
