/** What the worker computes, free of any worker. */
import { superpixels } from "../raster/superpixels";
import type { Rect } from "../raster/types";
import { watershed } from "../raster/watershed";

/** A tile's shown greys. */
export interface Shown {
  readonly grey: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A question to the worker. */
export type Question =
  | (Shown & { readonly kind: "superpixels"; readonly size: number })
  | (Shown & { readonly kind: "watershed"; readonly seeds: Uint8Array; readonly window: Rect });

/** What is given back for each kind of question. */
export interface Answers {
  superpixels: Int32Array;
  watershed: Uint8Array;
}

/** The kinds of questions. */
export type Kind = Question["kind"];

/** What the worker sends back. */
export type Reply =
  | { readonly ok: true; readonly value: Answers[Kind] }
  | { readonly ok: false; readonly message: string };

/** Answers a question; a failure becomes a plain sentence. */
export function reply(question: Question): Reply {
  try {
    return { ok: true, value: answer(question) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ok: false, message: `The ${question.kind} could not be computed: ${why}` };
  }
}

function answer(question: Question): Answers[Kind] {
  const { grey, width, height } = question;
  if (grey.length !== width * height) {
    throw new RangeError(`${grey.length} grey values do not fill ${width} x ${height} pixels.`);
  }
  switch (question.kind) {
    case "superpixels":
      return superpixels(grey, width, height, question.size);
    case "watershed":
      return watershed(grey, width, height, question.seeds, question.window);
  }
}
