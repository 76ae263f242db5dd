/** The pictures of a version: bars, heat map, test panel, an unseen image. */
import { useState } from "preact/hooks";
import type { Model } from "../../api/client";
import { Choice } from "../../widgets/Choice";
import type { TabProps } from "../Dashboard";
import { DiceBars } from "./DiceBars";
import { HeatMap } from "./HeatMap";
import { TestPanel } from "./TestPanel";
import { Unseen } from "./Unseen";

/** All pictures of one version. */
export function Pictures({ project, model, me, change }: Omit<TabProps, "act"> & { model: Model }) {
  const [split, setSplit] = useState<"test" | "validation">(model.quality.test ? "test" : "validation");
  const quality = model.quality[split];
  return (
    <>
      <Choice
        label="Measured on"
        options={[
          ["test", "test tiles"],
          ["validation", "validation tiles"],
        ]}
        value={split}
        change={setSplit}
      />
      {quality ? (
        <div class="panes">
          <DiceBars labels={project.labels} quality={quality} />
          <HeatMap labels={project.labels} quality={quality} />
        </div>
      ) : (
        <p class="quiet">It was not measured on {split} tiles: none of them was annotated when it was trained.</p>
      )}
      <TestPanel key={split} project={project} model={model} split={split} change={change} />
      <Unseen project={project} model={model} me={me} change={change} />
    </>
  );
}
