/** One job: state, progress, its curve if it trains, and the end of its log. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, body, bytes, type Job, type Project, type Schemas } from "../../api/client";
import type { Change } from "../../shell/events";
import { useLoaded } from "../../shell/load";
import { chartInk } from "../../shell/theme";
import { Chart } from "../../widgets/Chart";
import { curveData, curveOptions } from "./curve";

/** The chosen job; `change` is the project's last event. */
export function JobDetail(props: {
  id: string;
  project: Project;
  change: Change | null;
  cancel: (job: Job) => void;
  may: boolean;
}) {
  const { id, project, change } = props;
  const path = { job: id };
  const own = change?.object_id === id || change?.kind === "missed" ? change : null;
  const [open, setOpen] = useState(false);
  const job = useLoaded(() => body(api.GET("/api/v1/jobs/{job}", { params: { path } })), [id]);
  const trains = job.value.value?.kind === "train";
  const curve = useLoaded(
    async () => (trains ? body(api.GET("/api/v1/jobs/{job}/curve", { params: { path } })) : null),
    [id, trains],
  );
  const log = useLoaded(async () => (open ? (await bytes(`/api/v1/jobs/${id}/log`)).text() : null), [id, open]);
  const running = job.value.value?.state === "running" || job.value.value?.state === "queued";
  useEffect(() => {
    if (own) void Promise.all([job.again(), curve.again(), log.again()]);
  }, [own]);

  const ink = chartInk.value;
  const drawn = useMemo(() => curveOptions(project.labels, ink), [project, ink]);
  const points = curve.value.value?.points;
  const data = useMemo(() => curveData(points ?? [], project.labels), [points, project]);
  const shown = job.value.value;
  if (job.error.value) return <p role="alert">{job.error.value.message}</p>;
  if (!shown) return null;
  return (
    <section class="card" aria-label={`The ${shown.kind} job`}>
      <p class="row">
        <strong>{shown.kind}</strong> <span class="state">{shown.state}</span>
        <span>{shown.message}</span>
        {running && curve.value.value && <Pace curve={curve.value.value} />}
        <span class="spring" />
        {running && props.may && (
          <button
            type="button"
            class="danger"
            disabled={shown.cancel_requested}
            onClick={() => props.cancel(shown)}
          >
            {shown.cancel_requested ? "Stopping …" : "Cancel"}
          </button>
        )}
      </p>
      {running && (
        <progress max={1} value={shown.fraction ?? 0} aria-label="How far it is">
          {shown.fraction}
        </progress>
      )}
      {shown.error && <p class="banner wrong">{shown.error}</p>}
      {points && points.length > 1 && (
        <div class="panes">
          <Chart label="Loss against steps" options={drawn.loss} data={data.loss} />
          <Chart label="Dice of each organelle against steps" options={drawn.dice} data={data.dice} />
        </div>
      )}
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>End of its log</summary>
        {log.error.value ? (
          <p class="quiet">{log.error.value.message}</p>
        ) : (
          <pre class="log" tabIndex={0}>
            {log.value.value?.split("\n").slice(-200).join("\n") || "It has said nothing yet."}
          </pre>
        )}
      </details>
    </section>
  );
}

function Pace({ curve: { step, seconds_left: left } }: { curve: Schemas["CurveView"] }) {
  return (
    <span class="quiet">
      {step !== null && `step ${step}`}
      {step !== null && left !== null && ", "}
      {left !== null && (left < 90 ? `about ${Math.round(left)} s left` : `about ${Math.round(left / 60)} min left`)}
    </span>
  );
}
