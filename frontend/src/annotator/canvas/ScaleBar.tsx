/** How long things are. */
import { scaleBar } from "../../raster/scalebar";
import type { Workbench } from "../workbench";

/** A bar of a round length in nm or µm; says so when the pixel size is not known. */
export function ScaleBar({ bench }: { bench: Workbench }) {
  const nm = bench.sheet.image.pixel_nm;
  if (nm === null) return <p class="scalebar unknown">pixel size unknown</p>;
  const bar = scaleBar(nm, bench.view.value.scale, 160);
  return (
    <p class="scalebar">
      <i style={{ width: `${bar.screenPixels}px` }} />
      {bar.text}
    </p>
  );
}
