/** A zoomed picture that scrolls together with its neighbour. */
import { type Signal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
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
  // where this pane was last known to be: it may have gone on since, and is not pulled back
  const own = useRef(props.scroll.peek());
  useSignalEffect(() => {
    const { value } = props.scroll;
    if (value === own.current || !box.current) return;
    box.current.scrollTo(value.left, value.top);
    // it may not get quite as far, which is no scrolling by hand
    own.current = { left: box.current.scrollLeft, top: box.current.scrollTop };
  });
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
          own.current = { left, top };
          props.scroll.value = own.current;
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
