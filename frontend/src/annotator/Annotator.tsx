/** The annotator's room: one tile with its tools, panels and dialogs, and the way to the next. */
import { effect } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { setQuery } from "../shell/router";
import type { Me } from "../shell/session";
import { Stage } from "./canvas/Stage";
import { Feedback } from "./feedback/Feedback";
import { ConflictDialog } from "./flow/ConflictDialog";
import { type Desk, sitDown, type Work } from "./flow/desk";
import { FlagDialog } from "./flow/FlagDialog";
import { Notices } from "./flow/Notices";
import { SignInDialog } from "./flow/SignInDialog";
import { nameOfView } from "./flow/viewname";
import { listenToKeys } from "./keymap";
import { HelpSheet } from "./panels/HelpSheet";
import { LintDialog } from "./panels/LintDialog";
import { Rebind } from "./panels/Rebind";
import { Side } from "./panels/Side";
import { SkipDialog } from "./panels/SkipDialog";
import { StatusBar } from "./panels/StatusBar";
import { Toolbar } from "./panels/Toolbar";
import { Tour } from "./panels/Tour";
import "./annotator.css";

const VIEW_MS = 500;

/** Painting a project's tiles; with `kind` "review" mending the one under review until `done`. */
export function Annotator({
  slug,
  me,
  kind = "annotate",
  done,
}: {
  slug: string;
  me: Me;
  kind?: "annotate" | "review";
  done?: () => void;
}) {
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    const leave = () => {
      setQuery({ mend: null, tile: null, view: null });
      done?.();
    };
    const made = sitDown({ slug, me: me.id, kind, done: leave });
    const unlisten = listenToKeys(() => {
      const bench = made.work.peek()?.bench;
      return bench && !made.busy.peek() ? { bench, flow: made.actions } : null;
    });
    setDesk(made);
    return () => {
      unlisten();
      void made.close();
    };
  }, [slug, me.id, kind]);
  const work = desk?.work.value;
  if (!desk || !work) return <Waiting slug={slug} me={me} desk={desk} />;
  return <Room desk={desk} work={work} me={me} />;
}

function Room({ desk, work, me }: { desk: Desk; work: Work; me: Me }) {
  const { bench, autosave } = work;
  const context = { bench, flow: desk.actions };
  const [decides, setDecides] = useState(true);
  const [signsIn, setSignsIn] = useState(true);
  const conflict = autosave.conflict.value;
  const signedOut = desk.signedOut.value;
  const dialog = desk.dialog.value;
  const findings = desk.findings.value;
  // a dialog that was closed comes back when it happens anew
  useEffect(() => setDecides(true), [conflict === null]);
  useEffect(() => setSignsIn(true), [signedOut]);
  useEffect(() => followView(work), [work]);
  return (
    <main id="main" class="annotator" aria-busy={desk.busy.value}>
      <h1 class="unseen">Annotate {bench.sheet.project.name}</h1>
      <Toolbar context={context} />
      <div class="workplace" inert={desk.busy.value}>
        <Notices
          desk={desk}
          work={work}
          person={me.id}
          decide={() => setDecides(true)}
          signIn={() => setSignsIn(true)}
        />
        <Stage bench={bench} />
      </div>
      <Side key={bench.sheet.task.id} context={context} />
      <StatusBar bench={bench} />
      {findings && (
        <LintDialog
          bench={bench}
          findings={findings}
          submit={() => void desk.send()}
          close={desk.closeDialog}
        />
      )}
      <AsChecked desk={desk} />
      {dialog === "skip" && (
        <SkipDialog skip={(reason) => void desk.skip(reason)} close={desk.closeDialog} />
      )}
      {dialog === "flag" && (
        <FlagDialog flag={desk.flag.value} set={desk.setFlag} close={desk.closeDialog} />
      )}
      {conflict && decides && (
        <ConflictDialog
          bench={bench}
          autosave={autosave}
          conflict={conflict}
          close={() => autosave.conflict.peek() && setDecides(false)}
        />
      )}
      {signedOut && signsIn && (
        <SignInDialog
          person={me.id}
          welcome={desk.welcome}
          close={() => desk.signedOut.peek() && setSignsIn(false)}
        />
      )}
      <HelpSheet />
      <Rebind />
      <Tour slug={bench.sheet.project.slug} />
    </main>
  );
}

/** How a tile that was sent compares with the truth. */
function AsChecked({ desk }: { desk: Desk }) {
  const compared = desk.compared.value;
  if (!compared) return null;
  return (
    <Feedback {...compared} title="The tile you sent was a check" close={() => (desk.compared.value = null)} />
  );
}

/** Before the first tile, or when there is none. */
function Waiting({ slug, me, desk }: { slug: string; me: Me; desk: Desk | null }) {
  const problem = desk?.problem.value;
  const why = desk?.why.value;
  const waiting = desk?.waiting.value.length ?? 0;
  if (desk?.signedOut.value) {
    return (
      <main id="main" class="page">
        <SignInDialog person={me.id} welcome={desk.welcome} close={() => undefined} />
      </main>
    );
  }
  if (desk && problem) {
    return (
      <main id="main" class="page">
        <h1>The tile did not arrive</h1>
        <p role="alert">{problem.message}</p>
        <button type="button" class="primary" onClick={() => void desk.look()}>
          Try again
        </button>
      </main>
    );
  }
  if (!why) {
    return (
      <main id="main" class="page quiet" aria-busy="true">
        Loading the tile …
      </main>
    );
  }
  return (
    <main id="main" class="page">
      <AsChecked desk={desk} />
      <h1>No tile for now</h1>
      <p role="status">{why}</p>
      {waiting > 0 && (
        <p>
          {waiting === 1 ? "One sent tile waits" : `${waiting} sent tiles wait`} on this computer for
          the server.
        </p>
      )}
      <p class="quiet">Leave this page open: it goes on by itself when tiles come.</p>
      <a class="button" href={`/projects/${slug}`}>
        To the dashboard
      </a>
    </main>
  );
}

/** Keep the view in the address, so that it can be passed on. */
function followView({ bench }: Work): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    const view = nameOfView(bench.view.value);
    clearTimeout(timer);
    timer = setTimeout(() => setQuery({ view }), VIEW_MS);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}
