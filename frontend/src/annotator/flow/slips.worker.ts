/** Looks for slips in a thread of its own: on a large tile it takes longer than a stroke. */
import { lint } from "../../raster/lint";
import type { Answer, Question } from "./slips";

addEventListener("message", ({ data }: MessageEvent<Question>) => {
  const answer: Answer = { id: data.id, findings: lint(data.raster, data.options) };
  postMessage(answer);
});
