/** Comments pinned to pixels: earlier ones to read, new ones to place. */
import type { Schemas } from "../api/client";

/** A remark that goes with the verdict. */
export interface Pin {
  readonly y: number;
  readonly x: number;
  readonly text: string;
}

/** Lies over the picture; a click places a pin, whose text is written beside it. */
export function Pins(props: {
  pins: readonly Pin[];
  comments: readonly Schemas["CommentView"][];
  width: number;
  height: number;
  change: (pins: readonly Pin[]) => void;
}) {
  const { pins, width, height } = props;
  const at = (y: number, x: number) => ({
    left: `${(100 * (x + 0.5)) / width}%`,
    top: `${(100 * (y + 0.5)) / height}%`,
  });

  function place(event: MouseEvent) {
    if (event.target !== event.currentTarget) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const inside = (share: number, size: number) => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
    const x = inside((event.clientX - box.left) / box.width, width);
    const y = inside((event.clientY - box.top) / box.height, height);
    props.change([...pins, { y, x, text: "" }]);
  }
  const write = (n: number, text: string) =>
    props.change(pins.map((pin, index) => (index === n ? { ...pin, text } : pin)));

  return (
    // the keyboard's way is the form below the picture: a comment without a place
    <div class="pins" onClick={place}>
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
            aria-label={`Comment at ${pin.x}, ${pin.y}`}
            value={pin.text}
            maxLength={2000}
            placeholder="what is wrong here?"
            autoFocus
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
