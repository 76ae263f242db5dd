import { afterEach, expect, test } from "vitest";
import { type ActiveClock, startActive } from "./active";

let now = 0;
let clock: ActiveClock;
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });

function start(before = 0): void {
  now = 1000;
  hidden = false;
  clock = startActive(before, () => now);
}
const act = () => dispatchEvent(new Event("pointermove"));
const hide = (to: boolean) => {
  hidden = to;
  document.dispatchEvent(new Event("visibilitychange"));
};
afterEach(() => clock.stop());

test("time between acts counts on top of what was there", () => {
  start(100);
  now += 10;
  act();
  now += 20;
  expect(clock.seconds()).toBe(130);
});

test("after half a minute without an act nothing counts", () => {
  start();
  act();
  now += 500;
  expect(clock.seconds()).toBe(30);
  act();
  now += 5;
  expect(clock.seconds()).toBe(35);
  expect(clock.idle()).toBe(5);
});

test("a hidden page does not count, nor one that is back and untouched", () => {
  start();
  now += 4;
  hide(true);
  now += 20;
  act();
  hide(false);
  now += 20;
  expect(clock.seconds()).toBe(4);
  act();
  now += 3;
  expect(clock.seconds()).toBe(7);
});

test("keys count like the pointer, and a stopped clock stands still", () => {
  start();
  now += 29;
  dispatchEvent(new Event("keydown"));
  now += 29;
  clock.stop();
  now += 29;
  act();
  expect(clock.seconds()).toBe(58);
});
