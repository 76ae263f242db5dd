/** A zoomed picture that scrolls together with its neighbour. */
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Picture } from "../widgets/Picture";

/** `scroll` is shared by all panes that shall show the same place. */
export function Pane(props: {
  title: string;
  width: number;
  height: number;
  zoom: number;
  rgba: Uint32Array;
  scroll: Signal<{ left: number; top: number }>;
  children?: ComponentChildren;
}) {
  const box = useRef<HTMLDivElement>(null);
  const { left, top } = props.scroll.value;
  useEffect(() => {
    const element = box.current;
    if (element && (element.scrollLeft !== left || element.scrollTop !== top)) element.scrollTo(left, top);
  }, [left, top, props.zoom]);
  return (
    <figure class="pane">
      <figcaption>{props.title}</figcaption>
      <div
        ref={box}
        class="window"
        tabIndex={0}
        role="group"
        aria-label={props.title}
        onScroll={(event) => {
          const { scrollLeft, scrollTop } = event.currentTarget;
          props.scroll.value = { left: scrollLeft, top: scrollTop };
        }}
      >
        <div class="paper" style={{ width: `${100 * props.zoom}%`, aspectRatio: `${props.width} / ${props.height}` }}>
          <Picture label={props.title} width={props.width} height={props.height} rgba={props.rgba} />
          {props.children}
        </div>
      </div>
    </figure>
  );
}
