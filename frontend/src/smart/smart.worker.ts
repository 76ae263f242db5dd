/** The worker: one question in, one reply out. */
import { buffersOf, reply } from "./answer";
import type { Question } from "./answer";

self.onmessage = (event: MessageEvent<Question>): void => {
  const answer = reply(event.data);
  const transfer = answer.ok ? (buffersOf(answer.value) as Transferable[]) : [];
  self.postMessage(answer, { transfer });
};
