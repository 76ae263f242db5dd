/** Curves, drawn by uPlot. */
import { useEffect, useRef } from "preact/hooks";
import uPlot, { type AlignedData, type Options } from "uplot";
import "uplot/dist/uPlot.min.css";

/** A chart that follows its data and the width it is given; `label` says what it shows. */
export function Chart(props: { label: string; options: Omit<Options, "width">; data: AlignedData }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const made = new uPlot({ ...props.options, width: element.clientWidth }, props.data, element);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: props.options.height }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [props.options]);
  useEffect(() => plot.current?.setData(props.data), [props.data]);
  return <div ref={box} class="chart" role="img" aria-label={props.label} />;
}
