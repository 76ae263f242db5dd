/** Comments pinned to pixels: earlier ones to read, new ones to place. */
import { useEffect, useRef, useState } from "preact/hooks";
import { PAUSE_MS, wordsAt } from "../annotator/canvas/Announcer";
import { ARROWS, FAR } from "../annotator/canvas/keys";
import type { Project, Schemas } from "../api/client";
import type { Raster } from "../raster/types";

/** A remark that goes with the verdict. */
export interface Pin {
  readonly y: number;
  readonly x: number;
  readonly text: string;
}

/**
 * Lies over the picture; a click places a pin, whose text is written beside it. The arrow keys move
 * a crosshair as they do where one paints, and Enter places a pin there.
 */
export function Pins(props: {
  pins: readonly Pin[];
  comments: readonly Schemas["CommentView"][];
  mask: Raster;
  project: Project;
  change: (pins: readonly Pin[]) => void;
}) {
  const { pins, mask, project } = props;
  const { width, height } = mask;
  const [chosen, setChosen] = useState<{ y: number; x: number } | null>(null);
  const [words, setWords] = useState("");
  const layer = useRef<HTMLDivElement>(null);
  const cross = useRef<HTMLSpanElement>(null);
  const last = useRef<HTMLInputElement>(null);
  const before = useRef(pins.length);
  const here = chosen ?? { y: height >> 1, x: width >> 1 };
  const at = (y: number, x: number) => ({
    left: `${(100 * (x + 0.5)) / width}%`,
    top: `${(100 * (y + 0.5)) / height}%`,
  });
  useEffect(() => {
    if (chosen === null) return;
    cross.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
    const say = () => setWords(wordsAt({ raster: mask, sheet: { project } }, chosen.x, chosen.y));
    const timer = setTimeout(say, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [chosen]);
  useEffect(() => {
    // a new pin wants its text; where one was taken away the next can be placed
    if (pins.length > before.current) last.current?.focus();
    if (pins.length < before.current) layer.current?.focus();
    before.current = pins.length;
  }, [pins.length]);

  const inside = (at: number, size: number) => Math.min(size - 1, Math.max(0, at));
  function place(y: number, x: number) {
    if (!pins.some((pin) => pin.y === y && pin.x === x)) props.change([...pins, { y, x, text: "" }]);
  }
  function click(event: MouseEvent) {
    if (event.target !== event.currentTarget) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const pixel = (share: number, size: number) => inside(Math.floor(share * size), size);
    place(
      pixel((event.clientY - box.top) / box.height, height),
      pixel((event.clientX - box.left) / box.width, width),
    );
  }
  function press(event: KeyboardEvent) {
    const { key } = event;
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Enter") place(here.y, here.x);
    else if (key in ARROWS) {
      const [dx, dy] = ARROWS[key];
      const far = event.shiftKey ? FAR : 1;
      setChosen({ y: inside(here.y + dy * far, height), x: inside(here.x + dx * far, width) });
    } else return;
    event.preventDefault();
  }
  const write = (n: number, text: string) =>
    props.change(pins.map((pin, index) => (index === n ? { ...pin, text } : pin)));

  return (
    <div
      ref={layer}
      class="pins"
      role="application"
      aria-label="Pins: arrow keys move a crosshair, with Shift by ten; Enter places a pin there"
      tabIndex={0}
      onClick={click}
      onKeyDown={press}
    >
      <span ref={cross} class="crosshair" style={at(here.y, here.x)} />
      <p class="unseen" aria-live="polite">
        {words}
      </p>
      {props.comments
        .filter((comment) => comment.y !== null && comment.x !== null && comment.resolved_at === null)
        .map((comment) => (
          <span
            key={comment.id}
            class="pin old"
            style={at(comment.y as number, comment.x as number)}
            title={`${comment.author}: ${comment.text}`}
          />
        ))}
      {pins.map((pin, n) => (
        <span
          key={`${pin.y} ${pin.x}`}
          // its text stays within the picture
          class={2 * pin.x > width ? "pin leftward" : "pin"}
          style={at(pin.y, pin.x)}
        >
          <input
            ref={n === pins.length - 1 ? last : null}
            aria-label={`Comment at ${pin.x}, ${pin.y}`}
            value={pin.text}
            maxLength={2000}
            placeholder="what is wrong here?"
            onInput={(event) => write(n, event.currentTarget.value)}
          />
          <button
            type="button"
            aria-label={`Take the pin at ${pin.x}, ${pin.y} away`}
            onClick={() => props.change(pins.filter((_, index) => index !== n))}
          >
            ×
          </button>
        </span>
      ))}
    </div>
  );
}
