/** A labelled slider with its value in words. */

/** A range input; `says` turns the value into what people read. */
export function Slider(props: {
  label: string;
  min: number;
  max: number;
  step?: number;
  value: number;
  says?: (value: number) => string;
  change: (value: number) => void;
}) {
  const text = props.says ? props.says(props.value) : String(props.value);
  return (
    <label class="slider">
      <span>{props.label}</span>
      <input
        type="range"
        min={props.min}
        max={props.max}
        step={props.step ?? 1}
        value={props.value}
        aria-label={props.label}
        aria-valuetext={text}
        onInput={(event) => props.change(event.currentTarget.valueAsNumber)}
      />
      <output>{text}</output>
    </label>
  );
}
