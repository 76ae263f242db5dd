/** Narrows a list to what is like one of the options. */
export function Filter(props: {
  name: string;
  value: string | null | undefined;
  options: readonly (readonly [string, string])[];
  change: (value: string | null) => void;
}) {
  return (
    <label>
      Show {props.name}{" "}
      <select value={props.value ?? ""} onChange={(event) => props.change(event.currentTarget.value || null)}>
        <option value="">any</option>
        {props.options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
