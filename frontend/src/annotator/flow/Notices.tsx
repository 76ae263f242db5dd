/** What one has to know of the tile at hand, above it; nothing when all is well. */
import { useEffect, useState } from "preact/hooks";
import { replace } from "../../raster/apply";
import { complain } from "../../shell/toasts";
import type { Workbench } from "../workbench";
import { pins } from "./actions";
import type { Desk, Work } from "./desk";
import { type Copy, copiesOf } from "./journal";
import { unpack } from "./packing";

/** One line for each thing; `decide` and `signIn` open the dialogs again. */
export function Notices(props: {
  desk: Desk;
  work: Work;
  person: string;
  decide: () => void;
  signIn: () => void;
}) {
  const { desk, work, person } = props;
  const conflict = work.autosave.conflict.value;
  const { task, asked, project } = work.bench.sheet;
  const waiting = desk.waiting.value.length;
  return (
    <div class="notices" role="status">
      <SentBack bench={work.bench} />
      {asked.length < project.labels.length && (
        <p>
          Only {asked.map((label) => label.name).join(", ")} {asked.length === 1 ? "is" : "are"} asked
          for here; the other labels are locked.
        </p>
      )}
      {desk.lapsed.value && (
        <p class="warn">
          Your lease of this tile has ended, so others may get it. Go on if you like: what you submit
          is kept as a late revision.
        </p>
      )}
      {conflict && (
        <p class="warn">
          There are two versions of this tile.{" "}
          <button type="button" class="small" onClick={props.decide}>
            Choose one
          </button>
        </p>
      )}
      {desk.signedOut.value && (
        <p class="warn">
          You are signed out; your work is kept on this computer.{" "}
          <button type="button" class="small" onClick={props.signIn}>
            Sign in again
          </button>
        </p>
      )}
      {waiting > 0 && (
        <p class="warn">
          {waiting === 1 ? "One sent tile waits" : `${waiting} sent tiles wait`} on this computer for
          the server.
        </p>
      )}
      {desk.flag.value && (
        <p>
          Flagged: “{desk.flag.value}”{" "}
          <button type="button" class="small" onClick={() => desk.actions.flag()}>
            Change
          </button>
        </p>
      )}
      <Copies key={task.id} bench={work.bench} person={person} changed={conflict} />
    </div>
  );
}

/** What a reviewer wants mended; the remarks themselves are pinned to the tile. */
function SentBack({ bench }: { bench: Workbench }) {
  const { kind, comment } = bench.sheet.task;
  const pinned = pins.value.filter((pin) => pin.x !== null).length;
  if (kind === "review" || (comment === null && pinned === 0)) return null;
  const remarks = pinned === 1 ? "One remark is" : `${pinned} remarks are`;
  return (
    <p class="warn">
      Sent back to you{comment ? `: “${comment}”` : "."} {pinned > 0 && `${remarks} pinned to the tile.`}
    </p>
  );
}

/** Versions of the tile that were set aside. */
function Copies(props: { bench: Workbench; person: string; changed: unknown }) {
  const { bench, person, changed } = props;
  const [copies, setCopies] = useState<readonly Copy[]>([]);
  useEffect(() => {
    // without a journal there is none
    copiesOf(person, bench.sheet.task.id).then(setCopies, () => setCopies([]));
  }, [changed]);
  const bringBack = async (copy: Copy) => {
    const labels = copy.packed ? await unpack(copy.labels) : copy.labels;
    const { width: w, height: h } = bench.raster;
    const all = new Uint8Array(256).fill(1);
    bench.done(replace(bench.raster, labels, { x: 0, y: 0, w, h }, all));
  };
  return (
    <>
      {copies.map((copy) => (
        <p key={copy.id}>
          Another version of this tile, of {new Date(copy.at).toLocaleTimeString()}, is kept here.{" "}
          <button type="button" class="small" onClick={() => bringBack(copy).catch(complain)}>
            Bring it back (one undo step)
          </button>
        </p>
      ))}
    </>
  );
}
