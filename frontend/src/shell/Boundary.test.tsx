import { render } from "preact";
import { act } from "preact/test-utils";
import { expect, it } from "vitest";
import { Boundary } from "./Boundary";

it("says what broke, and shows the room again when it is mended", async () => {
  const room = document.createElement("div");
  let broken = true;
  const Room = () => {
    if (broken) throw new Error("The answer has no field `advice`.");
    return <p>well</p>;
  };
  await act(() => render(<Boundary><Room /></Boundary>, room));
  expect(room.querySelector("[role=alert]")?.textContent).toBe("The answer has no field `advice`.");
  broken = false;
  await act(() => room.querySelectorAll("button")[1].click());
  expect(room.textContent).toBe("well");
});
