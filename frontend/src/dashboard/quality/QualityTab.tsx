/** How far people agree: with each other, with gold, and with the pre-label they were shown. */
import { api, body, type Project, type Schemas } from "../../api/client";
import { useLoaded } from "../../shell/load";
import type { TabProps } from "../Dashboard";
import { covers } from "../../shell/session";
import { Gold } from "./Gold";
import { Shares } from "./Shares";

type Agreed = Schemas["AgreementOn"];

/** Agreement per organelle and person, and the tiles it is measured on. */
export function QualityTab({ project, me, act }: TabProps) {
  const loaded = useLoaded(
    () => body(api.GET("/api/v1/projects/{project}/agreement", { params: { path: { project: project.slug } } })),
    [project.slug],
  );
  const found = loaded.value.value;
  return (
    <>
      <section aria-labelledby="agreement">
        <h2 id="agreement">Agreement</h2>
        {loaded.error.value && <p role="alert">{loaded.error.value.message}</p>}
        {found && (
          <>
            <p class="quiet">
              A second opinion is a tile that another person paints without seeing the first mask. A gold tile is one
              whose mask a reviewer settled ({found.gold_tiles} so far); people get it unmarked. Neither is trained on.
            </p>
            <AgreementTable project={project} found={found} />
            <AnchoringNote {...found.anchoring} />
          </>
        )}
        {covers(me, project.slug, "manager") && <Shares project={project} act={act} />}
      </section>
      <Gold project={project} />
    </>
  );
}

function AgreementTable({ project, found }: { project: Project; found: Schemas["AgreementView"] }) {
  const rows: readonly (readonly [string, string, Agreed])[] = [
    ["second", "Second opinions", found.second],
    ["gold", "Everybody on gold tiles", found.gold],
    ...found.people.map((person) => [person.user_id, `${person.name} on gold tiles`, person] as const),
  ];
  return (
    <table>
      <caption class="unseen">Dice per organelle, and the tiles it comes from</caption>
      <thead>
        <tr>
          <th>Who</th>
          <th class="number">Tiles</th>
          {project.labels.map((label) => (
            <th key={label.value} class="number">
              {label.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([key, who, agreed]) => (
          <tr key={key}>
            <th scope="row">{who}</th>
            <td class="number">{agreed.tiles}</td>
            {project.labels.map((label) => (
              <td key={label.value} class="number">
                {cell(agreed.labels[label.name])}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function AnchoringNote({ shown, blind }: Schemas["Anchoring"]) {
  if (shown.dice === null || blind.dice === null) {
    return (
      <p class="quiet">
        Whether people follow the pre-label is not known yet: it takes tiles painted with it ({shown.tiles}) and tiles
        painted without it ({blind.tiles}) whose prediction is still stored.
      </p>
    );
  }
  return (
    <p>
      Masks agree with the pre-label by Dice {shown.dice.toFixed(3)} where it was shown ({shown.tiles} tiles) and by{" "}
      {blind.dice.toFixed(3)} where it was not ({blind.tiles} tiles). The further the first lies above the second, the
      more people follow what they are shown.
    </p>
  );
}

function cell(agreed: Schemas["LabelAgreementView"] | undefined): string {
  return agreed?.dice == null ? "–" : `${agreed.dice.toFixed(3)} (${agreed.tiles})`;
}
