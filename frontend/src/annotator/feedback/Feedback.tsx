/** How an answer compares with the truth of its tile: Dice per label, and where they differ. */
import { useMemo } from "preact/hooks";
import { maskOf } from "../../api/pixels";
import { useLoaded } from "../../shell/load";
import { Dialog } from "../../widgets/Dialog";
import { Picture } from "../../widgets/Picture";
import { ERRORS, errors, greyPixels } from "../../widgets/tilePicture";
import type { Compared } from "../flow/compare";

/** Shows it until `close`; `next` goes on to another tile, where there is one. */
export function Feedback(props: Compared & { title: string; close: () => void; next?: (() => void) | undefined }) {
  const { sheet, raster, found, next } = props;
  const loaded = useLoaded(() => maskOf(found.annotation_id as string, sheet.box), [found]);
  const truth = loaded.value.value;
  const picture = useMemo(() => {
    if (!truth) return null;
    const { grey, box } = sheet;
    const all = greyPixels(grey);
    const tile = new Uint32Array(box.w * box.h);
    for (let y = 0; y < box.h; y++) {
      const from = (box.y + y) * grey.width + box.x;
      tile.set(all.subarray(from, from + box.w), y * box.w);
    }
    return errors(tile, truth, raster);
  }, [truth]);
  return (
    <Dialog title={props.title} close={props.close} wide>
      <div class="versions">
        <div>
          <table>
            <thead>
              <tr>
                <th>Organelle</th>
                <th class="number">Dice</th>
                <th class="number">missed</th>
                <th class="number">too much</th>
              </tr>
            </thead>
            <tbody>
              {found.scores.map((score) => (
                <tr key={score.label}>
                  <td>{score.label}</td>
                  <td class="number">{score.dice?.toFixed(3) ?? "–"}</td>
                  <td class="number">{score.missed}</td>
                  <td class="number">{score.invented}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <ul>
            {found.hints.map((hint) => (
              <li key={hint.label}>{hint.text}</li>
            ))}
          </ul>
          {found.hints.length === 0 && <p>Nothing is missing and nothing is too much.</p>}
          <p>
            <b style={{ color: ERRORS.missed }}>■</b> missed, <b style={{ color: ERRORS.invented }}>■</b> too much,{" "}
            <b style={{ color: ERRORS.confused }}>■</b> another label
          </p>
        </div>
        {loaded.error.value && <p role="alert">{loaded.error.value.message}</p>}
        {picture && <Picture label="Where they differ" width={sheet.box.w} height={sheet.box.h} rgba={picture} />}
      </div>
      <p class="row end">
        <button type="button" autofocus onClick={props.close}>
          Back to the tile
        </button>
        {next && (
          <button type="button" class="primary" onClick={next}>
            Another tile
          </button>
        )}
      </p>
    </Dialog>
  );
}
