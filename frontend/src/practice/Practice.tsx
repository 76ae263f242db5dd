/** Practising: tiles whose truth is settled are painted and scored at once; nothing is kept. */
import { useEffect, useState } from "preact/hooks";
import { saving } from "../annotator/flow/actions";
import { Feedback } from "../annotator/feedback/Feedback";
import type { Compared } from "../annotator/flow/compare";
import { listenToKeys } from "../annotator/keymap";
import { HelpSheet } from "../annotator/panels/HelpSheet";
import { Rebind } from "../annotator/panels/Rebind";
import { Side } from "../annotator/panels/Side";
import { StatusBar } from "../annotator/panels/StatusBar";
import { Toolbar } from "../annotator/panels/Toolbar";
import { Tour } from "../annotator/panels/Tour";
import { Stage } from "../annotator/canvas/Stage";
import { makeLocks } from "../annotator/flow/locks";
import { Workbench } from "../annotator/workbench";
import { all, api, bytes, fetchProject, type Schemas } from "../api/client";
import { useLoaded } from "../shell/load";
import { go } from "../shell/router";
import { complain, tell } from "../shell/toasts";
import { practiceSheet } from "./sheet";

/** One practice tile after the other. */
export function Practice({ slug }: { slug: string }) {
  const [turn, setTurn] = useState(0);
  const loaded = useLoaded(async () => {
    const path = { project: slug };
    const [project, tiles] = await Promise.all([
      fetchProject(slug),
      all((page) => api.GET("/api/v1/projects/{project}/practice", { params: { path, query: page } })),
    ]);
    return { project, tiles };
  }, [slug]);
  const { project, tiles } = loaded.value.value ?? {};
  const chosen = tiles?.[turn % tiles.length];
  const opened = useLoaded(async () => {
    return project && chosen ? new Workbench(await practiceSheet(chosen, project)) : null;
  }, [project, chosen, turn]);
  const bench = opened.value.value;
  const error = loaded.error.value ?? opened.error.value;
  if (error || tiles?.length === 0) {
    return (
      <main id="main" class="page">
        <h1>Practice</h1>
        {error ? (
          <p role="alert">{error.message}</p>
        ) : (
          <p>There is no tile to practise on yet: a reviewer makes one of an accepted tile.</p>
        )}
        <a class="button" href={`/projects/${slug}/annotate`}>
          Annotate
        </a>
      </main>
    );
  }
  if (!bench) {
    return (
      <main id="main" class="page quiet" aria-busy="true">
        Loading the tile …
      </main>
    );
  }
  return <Room key={turn} bench={bench} next={() => setTurn(turn + 1)} />;
}

function Room({ bench, next }: { bench: Workbench; next: () => void }) {
  const [compared, setCompared] = useState<Compared | null>(null);
  const { sheet } = bench;
  const kept = () => tell("Practice is not kept.");
  const score = async () => {
    try {
      const raster = { ...bench.raster, data: bench.raster.data.slice() };
      const answer = await bytes(`/api/v1/annotations/${sheet.task.id}/practice`, {
        method: "POST",
        headers: { "Content-Type": "application/octet-stream" },
        body: raster.data,
      });
      setCompared({ sheet, raster, found: (await answer.json()) as Schemas["FeedbackView"] });
    } catch (problem) {
      complain(problem);
    }
  };
  const flow = {
    submit: () => void score(),
    skip: next,
    save: kept,
    flag: kept,
    release: () => go(`/projects/${sheet.project.slug}`),
  };
  const context = { bench, flow };
  useEffect(() => {
    const locks = makeLocks();
    locks.lay(sheet, true);
    saving.value = { state: "practice", pending: 0 };
    const unlisten = listenToKeys(() => context);
    return () => {
      unlisten();
      locks.leave();
      saving.value = { state: "saved", pending: 0 };
    };
  }, [bench]);
  return (
    <main id="main" class="annotator">
      <h1 class="unseen">Practise {sheet.project.name}</h1>
      <Toolbar context={context} />
      <div class="workplace">
        <div class="notices" role="status">
          <p>
            Practice: Submit shows how your labels compare with the truth, as often as you like. Nothing is kept.{" "}
            <button type="button" class="small" onClick={next}>
              Another tile
            </button>
          </p>
        </div>
        <Stage bench={bench} />
      </div>
      <Side context={context} />
      <StatusBar bench={bench} />
      {compared && (
        <Feedback {...compared} title="How it compares" close={() => setCompared(null)} next={next} />
      )}
      <HelpSheet />
      <Rebind />
      <Tour />
    </main>
  );
}
