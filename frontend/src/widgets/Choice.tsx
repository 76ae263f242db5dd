/** One of a few: a row of buttons that behaves as a radio group. */
import { useId } from "preact/hooks";

/** `options` are [value, text] pairs. */
export function Choice<T extends string>(props: {
  label: string;
  options: readonly (readonly [T, string])[];
  value: T;
  change: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend>{props.label}</legend>
      {props.options.map(([value, text]) => (
        <label key={value}>
          <input
            type="radio"
            name={name}
            checked={value === props.value}
            onChange={() => props.change(value)}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
