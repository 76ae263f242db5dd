/** Per-class agreement of two rasters. */
import { useMemo } from "preact/hooks";
import type { Label } from "../api/client";
import { compareRasters } from "../raster/compare";
import type { Raster } from "../raster/types";

/** A table of Dice and of pixels only one of them has. */
export function Agreement(props: { title: string; labels: readonly Label[]; one: Raster; other: Raster }) {
  const { labels, one, other } = props;
  const rows = useMemo(
    () => compareRasters(one.data, other.data, labels.map((label) => label.value)),
    [one, other, labels],
  );
  return (
    <section>
      <h2>{props.title}</h2>
      <table>
        <thead>
          <tr>
            <th>Organelle</th>
            <th class="number">Dice</th>
            <th class="number">painted only</th>
            <th class="number">other only</th>
          </tr>
        </thead>
        <tbody>
          {labels.map((label, n) => (
            <tr key={label.value}>
              <td>
                <i class="swatch" style={{ background: label.colour }} /> {label.name}
              </td>
              <td class="number">{rows[n].dice?.toFixed(3) ?? "–"}</td>
              <td class="number">{rows[n].onlyA}</td>
              <td class="number">{rows[n].onlyB}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
