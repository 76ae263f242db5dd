/** The worker: one question in, one reply out. */
import { reply } from "./answer";
import type { Question } from "./answer";

self.onmessage = (event: MessageEvent<Question>): void => {
  const answer = reply(event.data);
  const transfer = answer.ok ? [answer.value.buffer as Transferable] : [];
  self.postMessage(answer, { transfer });
};
