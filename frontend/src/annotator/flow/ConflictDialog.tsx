/** Two versions of a tile, and which one to go on with; the other one is set aside. */
import { useEffect, useRef, useState } from "preact/hooks";
import { lut } from "../../raster/colours";
import { complain } from "../../shell/toasts";
import { Dialog } from "../../widgets/Dialog";
import type { Workbench } from "../workbench";
import type { Autosave, Conflict } from "./autosave";

/** Asks for a decision; closing it leaves the tile as it is, saved on this computer only. */
export function ConflictDialog(props: {
  bench: Workbench;
  autosave: Autosave;
  conflict: Conflict;
  close: () => void;
}) {
  const { bench, autosave, conflict } = props;
  const { mine, theirs } = conflict;
  const [chosen, setChosen] = useState(false);
  const differing = countDiffering(mine, theirs.labels);
  const total = mine.length;
  const decide = (choice: "mine" | "theirs") => {
    setChosen(true);
    autosave.decide(choice).catch((problem: unknown) => {
      setChosen(false);
      complain(problem);
    });
  };
  const where =
    theirs.version === 0
      ? "The tile was sent, or its draft dropped, in another tab or on another computer"
      : "The draft on the server was changed in another tab or on another computer";
  return (
    <Dialog title="There are two versions of this tile" close={props.close} wide>
      <p>
        {where} while you painted here. They differ in {differing.toLocaleString()} of{" "}
        {total.toLocaleString()} pixels, drawn strong below. The version you do not choose is
        kept on this computer until the tile is done.
      </p>
      <div class="versions">
        <Version title="Mine, on this computer" bench={bench} labels={mine} other={theirs.labels} />
        <Version title="The server's" bench={bench} labels={theirs.labels} other={mine} />
      </div>
      <p class="row end">
        <button type="button" disabled={chosen} onClick={() => decide("theirs")}>
          Take the server&apos;s
        </button>
        <button type="button" class="primary" disabled={chosen} onClick={() => decide("mine")}>
          Keep mine
        </button>
      </p>
    </Dialog>
  );
}

/** How many pixels of two rasters differ. */
export function countDiffering(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}

/** A raster in its labels' colours, strong where the versions differ. */
function Version(props: {
  title: string;
  bench: Workbench;
  labels: Uint8Array;
  other: Uint8Array;
}) {
  const { title, bench, labels, other } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height } = bench.raster;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const colours = bench.sheet.project.labels;
    const strong = lut(colours, 1);
    const faint = lut(colours, 0.3);
    const picture = new ImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = (labels[i] === other[i] ? faint : strong)[labels[i]];
    }
    context.putImageData(picture, 0, 0);
  }, [labels, other]);
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <canvas ref={canvas} width={width} height={height} role="img" aria-label={`${title}: labels`} />
    </figure>
  );
}
