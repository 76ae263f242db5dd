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
  const { value } = props.scroll;
  // where this pane was last known to be: it may have gone on since, and is not pulled back
  const own = useRef(value);
  useEffect(() => {
    if (value === own.current) return;
    own.current = value;
    box.current?.scrollTo(value.left, value.top);
  }, [value]);
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
          const { scrollLeft: left, scrollTop: top } = event.currentTarget;
          if (left === own.current.left && top === own.current.top) return;
          own.current = props.scroll.value = { left, top };
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
