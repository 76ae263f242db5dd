/** Seconds a person worked on a tile: time counts for half a minute after each act. */

const IDLE_SECONDS = 30;
const ACTS = ["pointerdown", "pointermove", "keydown", "wheel"] as const;

export interface ActiveClock {
  /** Active seconds so far, with what was there at the start. */
  seconds(): number;
  /** Seconds since the last act. */
  idle(): number;
  /** Stop counting. */
  stop(): void;
}

/** Count from `before` seconds on; `now` gives seconds. */
export function startActive(before: number, now = () => performance.now() / 1000): ActiveClock {
  let total = before;
  let last = now();
  let counting = !document.hidden;
  const sinceLast = () => (counting ? Math.min(Math.max(0, now() - last), IDLE_SECONDS) : 0);
  const act = () => {
    total += sinceLast();
    last = now();
    counting = !document.hidden;
  };
  const look = () => {
    total += sinceLast();
    // a page that comes back waits for the first act
    counting = false;
  };
  for (const name of ACTS) addEventListener(name, act, { passive: true, capture: true });
  document.addEventListener("visibilitychange", look);
  return {
    seconds: () => total + sinceLast(),
    idle: () => Math.max(0, now() - last),
    stop() {
      total += sinceLast();
      counting = false;
      for (const name of ACTS) removeEventListener(name, act, { capture: true });
      document.removeEventListener("visibilitychange", look);
    },
  };
}
