import { render } from "preact";
import { afterEach, expect, test, vi } from "vitest";
import { Boundary } from "./Boundary";
import { lazily } from "./lazily";

afterEach(() => render(null, document.body));

test("what is fetched once is shown, and shown at once the next time", async () => {
  const fetching = vi.fn(async () => ({ name }: { name: string }) => <p>Hello {name}</p>);
  const Late = lazily(fetching);
  render(<Late name="Ada" />, document.body);
  expect(document.body.textContent).toBe("Loading …");
  await vi.waitFor(() => expect(document.body.textContent).toBe("Hello Ada"));
  render(null, document.body);
  render(<Late name="Eve" />, document.body);
  expect(document.body.textContent).toBe("Hello Eve");
  expect(fetching).toHaveBeenCalledTimes(1);
});

test("what cannot be fetched is said, and fetched when it is tried again", async () => {
  let reachable = false;
  const Late = lazily(async () => {
    if (!reachable) throw new Error("The room did not arrive.");
    return () => <p>Here it is</p>;
  });
  render(
    <Boundary>
      <Late />
    </Boundary>,
    document.body,
  );
  await vi.waitFor(() => expect(document.body.textContent).toContain("The room did not arrive."));
  reachable = true;
  const buttons = [...document.body.querySelectorAll("button")];
  buttons.find((button) => button.textContent === "Try without loading")?.click();
  await vi.waitFor(() => expect(document.body.textContent).toBe("Here it is"));
});
