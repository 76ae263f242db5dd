/** A version to take along: for nnU-Net, as ONNX, as a BioImage.IO package. */
import { useState } from "preact/hooks";
import { api, body, type Model, type Schemas } from "../../api/client";
import { complain } from "../../shell/toasts";

/** The downloads of one version; the packed ones are made on request. */
export function Take({ model }: { model: Model }) {
  const [packing, setPacking] = useState<string | null>(null);
  if (["training", "failed"].includes(model.state)) return null;

  async function pack(format: Schemas["NewPackage"]["format"]) {
    setPacking(format);
    try {
      let job = await body(
        api.POST("/api/v1/models/{model}/packages", { params: { path: { model: model.id } }, body: { format } }),
      );
      while (job.state === "queued" || job.state === "running") {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        job = await body(api.GET("/api/v1/jobs/{job}", { params: { path: { job: job.id } } }));
      }
      if (job.state !== "succeeded") throw new Error(job.error ?? `The job was ${job.state}.`);
      location.assign(`/api/v1/packages/${job.id}/download`);
    } catch (problem) {
      complain(problem);
    } finally {
      setPacking(null);
    }
  }

  return (
    <p class="row">
      Take it along:
      <a class="button" download href={`/api/v1/models/${model.id}/download`}>
        {model.segmenter === "nnunet" ? "nnU-Net zip" : "zip"}
      </a>
      {model.segmenter === "nnunet" &&
        (
          [
            ["onnx", "ONNX"],
            ["bioimageio", "BioImage.IO"],
          ] as const
        ).map(([format, text]) => (
          <button key={format} type="button" disabled={packing !== null} onClick={() => pack(format)}>
            {packing === format ? `packing ${text} …` : text}
          </button>
        ))}
    </p>
  );
}
