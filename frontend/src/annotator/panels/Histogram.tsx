/** The tile's greys, with the window that is shown; the sliders below say the same in words. */
import { useMemo, useRef } from "preact/hooks";
import { histogram } from "../../raster/histogram";
import type { Workbench } from "../workbench";

const BINS = 128;
const HEIGHT = 40;

interface Ends {
  readonly low: number;
  readonly high: number;
}

/** Drag the nearer end of the window; `range` is that of the sliders. */
export function Histogram(props: {
  bench: Workbench;
  range: Ends;
  window: Ends;
  change: (window: Ends) => void;
}) {
  const { bench, range, window } = props;
  const dragged = useRef<"low" | "high">("low");
  const outline = useMemo(() => {
    const counts = histogram(bench.sheet.grey, bench.sheet.box, range, BINS);
    // the root lets rare greys be seen
    const most = Math.sqrt(Math.max(1, ...counts));
    return [...counts].map((count, i) => `V${HEIGHT * (1 - Math.sqrt(count) / most)}H${i + 1}`).join("");
  }, [bench, range]);
  const span = range.high - range.low || 1;
  const place = (grey: number) => Math.min(BINS, Math.max(0, (BINS * (grey - range.low)) / span));
  const drag = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    const at = range.low + share * span;
    if (event.type === "pointerdown") {
      event.currentTarget.setPointerCapture(event.pointerId);
      dragged.current = Math.abs(at - window.low) < Math.abs(at - window.high) ? "low" : "high";
    } else if (event.buttons === 0) return;
    props.change({ ...window, [dragged.current]: at });
  };
  return (
    <svg
      class="histogram"
      viewBox={`0 0 ${BINS} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      onPointerDown={drag}
      onPointerMove={drag}
    >
      <path d={`M0 ${HEIGHT}${outline}V${HEIGHT}Z`} />
      <rect x="0" width={place(window.low)} height={HEIGHT} />
      <rect x={place(window.high)} width={BINS - place(window.high)} height={HEIGHT} />
    </svg>
  );
}
