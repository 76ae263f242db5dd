import { render } from "preact";
import { afterEach, expect, test, vi } from "vitest";
import { type Loaded, useLoaded } from "./load";

afterEach(() => render(null, document.body));

test("a service that is asked more often than it answers is heard, and never backwards", async () => {
  const answers: ((said: string) => void)[] = [];
  let loaded: Loaded<string> | undefined;
  function Room() {
    loaded = useLoaded(() => new Promise<string>((resolve) => answers.push(resolve)), []);
    return <p>{loaded.value.value}</p>;
  }
  render(<Room />, document.body);
  await vi.waitFor(() => expect(answers).toHaveLength(1));
  void loaded?.again();
  void loaded?.again();
  const shows = (text: string) => vi.waitFor(() => expect(document.body.textContent).toBe(text));
  answers[0]("first");
  await shows("first");
  answers[2]("third");
  await shows("third");
  answers[1]("second");
  await Promise.resolve();
  await shows("third");
});
