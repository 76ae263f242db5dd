/** Pixels on the screen: what is given is drawn, nothing is ever read back. */
import { useEffect, useRef } from "preact/hooks";
import "./picture.css";

/** RGBA pixels of `width` x `height`, shown with hard edges; `label` says what they show. */
export function Picture(props: {
  label: string;
  width: number;
  height: number;
  rgba: Uint32Array;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const bytes = new Uint8ClampedArray(props.rgba.length * 4);
    bytes.set(new Uint8Array(props.rgba.buffer, props.rgba.byteOffset, props.rgba.byteLength));
    context.putImageData(new ImageData(bytes, props.width, props.height), 0, 0);
  }, [props.rgba, props.width, props.height]);
  return (
    <canvas ref={canvas} class="picture" width={props.width} height={props.height} role="img" aria-label={props.label} />
  );
}
