/** The pictures on the buttons: strokes on a 24 × 24 field, in the colour of the text. */

const paths = {
  brush: "M20 4 10 14M10 14c-3-1-5 1-5 4 0 1-1 2-2 2 4 2 9 1 9-3 0-1-1-2-2-3Z",
  eraser: "M14 4l6 6-9 9H7l-4-4L14 4ZM9 9l6 6M11 20h9",
  fill: "M10 3l9 9-7 7-7-7 7-7M6 12h12M20 15c2 3 2 5 0 5s-2-2 0-5Z",
  holes: "M12 3a9 9 0 1 0 .1 0ZM12 8a4 4 0 1 0 .1 0ZM10 12h4",
  polygon: "M5 8l8-4 7 7-5 8-9-2ZM5 8v.01M13 4v.01M20 11v.01M15 19v.01M6 17v.01",
  picker: "M14 6l4 4M12 8l4 4-8 8H4v-4ZM15 5c2-2 4-2 5-1s1 3-1 5",
  wand: "M4 20 15 9M17 3v4M15 5h4M20 11v2M19 12h2M10 3v2M9 4h2",
  superpixel: "M3 8l5-4 5 3 8-2M3 15l6-2 5 3 7-3M8 4l1 9M13 7l1 9M9 13l-2 8M14 16l2 5",
  watershed: "M4 6c4 4 4 8 0 12M20 6c-4 4-4 8 0 12M12 3v18M9 12h.01M15 12h.01",
  threshold: "M4 20V10M9 20V5M14 20v-8M19 20v-5M3 14h18",
  restore: "M5 12a7 7 0 1 1 2 5M5 7v5h5",
  pan: "M12 3v18M3 12h18M12 3 9 6M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3",
  undo: "M8 5 4 9l4 4M4 9h10a5 5 0 0 1 0 10h-4",
  redo: "M16 5l4 4-4 4M20 9H10a5 5 0 0 0 0 10h4",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  actual: "M5 8l3-2v12M16 8l3-2v12M12 10v.01M12 15v.01",
  shown: "M2 12c5-8 15-8 20 0-5 8-15 8-20 0ZM12 9a3 3 0 1 0 .1 0Z",
  hidden: "M2 12c5-8 15-8 20 0-5 8-15 8-20 0ZM4 20 20 4",
  solo: "M12 3a9 9 0 1 0 .1 0ZM12 10a2 2 0 1 0 .1 0Z",
  locked: "M6 11h12v9H6ZM9 11V8a3 3 0 0 1 6 0v3",
  open: "M6 11h12v9H6ZM9 11V8a3 3 0 0 1 6-1",
  doubt: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 3M12 19v.01",
  next: "M5 5l7 7-7 7M13 5l7 7-7 7",
  submit: "M4 13l5 5L20 6",
  skip: "M4 6l7 6-7 6ZM12 6l7 6-7 6ZM20 6v12",
  flag: "M6 21V4h12l-3 4 3 4H6",
  help: "M12 3a9 9 0 1 0 .1 0ZM10 9.5a2 2 0 1 1 3 2c-1 .6-1 1-1 2M12 17v.01",
  keys: "M3 7h18v11H3ZM7 11v.01M11 11v.01M15 11v.01M8 15h8",
} as const;

export type IconName = keyof typeof paths;

/** One picture; says nothing to a screen reader, the text beside it does. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
