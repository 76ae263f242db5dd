/** The tile, as large as the page allows, and everything that is done on it. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { effect } from "@preact/signals";
import { createSmart } from "../../smart/smart";
import { peek, tool } from "../settings";
import type { Workbench } from "../workbench";
import { Announcer } from "./Announcer";
import { place } from "./cursor";
import { Handles } from "./Handles";
import { followKeys } from "./keys";
import { Overview } from "./Overview";
import { type Painter, paintOn } from "./painter";
import { followPointer } from "./pointer";
import { dropPreview } from "./preview";
import { ScaleBar } from "./ScaleBar";
import { working } from "./scribbles";
import "./stage.css";
import { activeTool, lightUp, makeTools, tools } from "./tools/tools";
import { fit, resize, show } from "./viewport";
import { followWheel } from "./wheel";

/** Shows a bench; another bench is another stage. */
export function Stage({ bench }: { bench: Workbench }) {
  return <Tile key={bench.sheet.task.id} bench={bench} />;
}

function Tile({ bench }: { bench: Workbench }) {
  const stage = useRef<HTMLDivElement>(null);
  const picture = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const [painter, setPainter] = useState<Painter | null>(null);
  const help = useId();

  useEffect(() => {
    const element = stage.current as HTMLDivElement;
    const stop = open(element, picture.current!, marks.current!, bench, setPainter);
    return () => {
      setPainter(null);
      stop();
    };
  }, [bench]);

  const held = tools.value?.[activeTool.value];
  return (
    <section class="stage-frame" aria-label="Tile">
      <div
        ref={stage}
        class={`stage ${held?.cursor ?? "cross"}`}
        role="application"
        aria-label={`Tile of ${bench.sheet.image.name}`}
        aria-describedby={help}
        tabIndex={0}
      >
        <canvas ref={picture} aria-hidden="true" />
        <canvas ref={marks} aria-hidden="true" />
      </div>
      <p id={help} class="unseen">
        Arrow keys move a crosshair by a pixel, with Shift by ten. Enter uses the tool there or
        takes what it proposes, and twice on one corner it closes a polygon; Shift and Enter put the brush down, so that arrows paint, and lift
        it again. Escape takes back what is not finished.
      </p>
      <Handles bench={bench} />
      <ScaleBar bench={bench} />
      {painter && <Overview bench={bench} painter={painter} />}
      {working.value && (
        <p class="working" role="status">
          {working.value}
        </p>
      )}
      <Announcer bench={bench} />
    </section>
  );
}

/** Bring a bench to life on its elements; returns how to end it. */
function open(
  element: HTMLElement,
  picture: HTMLCanvasElement,
  marks: HTMLCanvasElement,
  bench: Workbench,
  ready: (painter: Painter) => void,
): () => void {
  const smart = createSmart();
  const made = makeTools(bench, smart);
  const given = bench.view.peek();
  measure(element, bench);
  if (given.scale === 1 && given.left === 0 && given.top === 0) fit(bench);
  else show(bench, given);
  const painter = paintOn(picture, marks, bench);
  ready(painter);
  tools.value = made;
  const pointer = followPointer(element, bench, made);
  const again = () => measure(element, bench);
  const observer = new ResizeObserver(again);
  observer.observe(element);
  // the size of a device pixel may change alone
  addEventListener("resize", again);
  let before = tool.peek();
  const stops = [
    effect(() => {
      const now = tool.value;
      if (now === before) return;
      made[before].cancel();
      dropPreview();
      before = now;
    }),
    lightUp(made),
    followWheel(element, bench),
    followKeys(element, bench, made, pointer),
    pointer.dispose,
  ];
  return () => {
    observer.disconnect();
    removeEventListener("resize", again);
    for (const stop of stops) stop();
    for (const each of Object.values(made)) each.dispose?.();
    made[tool.peek()].cancel();
    tools.value = null;
    dropPreview();
    peek.value = false;
    place(bench, null);
    painter.dispose();
    smart.close();
  };
}

function measure(element: HTMLElement, bench: Workbench): void {
  resize(bench, element.clientWidth, element.clientHeight, devicePixelRatio);
}
