/** What a version could find of each organelle at which precision, and where it serves. */
import { useMemo, useState } from "preact/hooks";
import { api, body, type Model } from "../../api/client";
import { useLoaded } from "../../shell/load";
import { chartInk } from "../../shell/theme";
import { Chart } from "../../widgets/Chart";
import { Choice } from "../../widgets/Choice";
import { aligned, type LabelCurve, options, told } from "./precision";
import "./precision.css";

type Split = "validation" | "test";

/** A chart per organelle that was measured; nothing if none was. */
export function PrecisionRecall({ model }: { model: Model }) {
  const [split, setSplit] = useState<Split>("validation");
  const curves = useLoaded(
    () =>
      body(
        api.GET("/api/v1/projects/{project}/models/{model}/precision-recall", {
          params: { path: { project: model.project_id, model: model.id }, query: { split } },
        }),
      ),
    [model.id, split],
  );
  const labels = curves.value.value?.labels.filter((label) => label.points.length > 0);
  return (
    <section aria-labelledby="precision">
      <h3 id="precision">Precision and recall</h3>
      <p class="row">
        <Choice
          label="Tiles"
          options={[
            ["validation", "validation"],
            ["test", "test"],
          ]}
          value={split}
          change={setSplit}
        />
      </p>
      {curves.error.value && <p role="alert">{curves.error.value.message}</p>}
      {labels?.length === 0 && <p class="quiet">Nothing was measured on {split} tiles.</p>}
      <div class="curves">{labels?.map((label) => <Curve key={label.value} label={label} />)}</div>
      {!!labels?.length && (
        <p class="quiet">
          A dot marks what is served. A label with a precision floor is served with as much recall, up to its
          target, as validation tiles show above it.
        </p>
      )}
    </section>
  );
}

function Curve({ label }: { label: LabelCurve }) {
  const ink = chartInk.value;
  const drawn = useMemo(() => options(label.colour, ink), [label.colour, ink]);
  const data = useMemo(() => aligned(label), [label]);
  return (
    <figure>
      <figcaption>
        <b>{label.name}</b>, average precision {label.average_precision?.toFixed(3) ?? "–"}: {told(label)}
      </figcaption>
      <Chart label={`Precision of ${label.name} against its recall`} options={drawn} data={data} />
    </figure>
  );
}
