// What a bench measures from inside the page. Put into every document before its scripts.
(() => {
  const times = { down: [], move: [], up: [], stroke: [] };
  const pixels = { down: [], move: [] };
  const drawn = [];
  const waiting = new Map();
  let began = 0;
  let kind = null;
  let stroke = 0;

  // The window hears an event before and after the page's own listeners.
  for (const name of ["down", "move", "up"]) {
    addEventListener(`pointer${name}`, (event) => {
      kind = name === "move" && event.buttons === 0 ? null : name;
      began = performance.now();
    }, true);
    addEventListener(`pointer${name}`, () => {
      if (kind !== name) return;
      const took = performance.now() - began;
      times[name].push(took);
      stroke = (name === "down" ? 0 : stroke) + took;
      if (name === "up") times.stroke.push(stroke);
    });
  }
  // The page says "painted" when the pixels of an event are set; the detail is the
  // event's time stamp.
  addEventListener("painted", (event) => {
    const now = performance.now();
    if (kind in pixels) pixels[kind].push([now - began, now - event.detail]);
  }, true);

  // A tile is there with the frame that follows the first drawing on its canvas.
  const seen = new WeakSet();
  const { drawImage } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    drawImage.apply(this, given);
    const { canvas } = this;
    if (seen.has(canvas) || !canvas.closest?.(".stage")) return;
    seen.add(canvas);
    requestAnimationFrame(() => setTimeout(() => {
      drawn.push(performance.now());
      waiting.get(drawn.length)?.();
    }));
  };
  let pressed = 0;
  addEventListener("click", (event) => (pressed = event.timeStamp), true);

  window.probe = {
    /** When tile `number`, from 1, was on the screen; waits for it. */
    async tile(number) {
      if (drawn.length < number) await new Promise((done) => waiting.set(number, done));
      return drawn[number - 1];
    },
    /** The time stamp of the last click. */
    get pressed() {
      return pressed;
    },
    /** Hand over what was measured since the last time. */
    take() {
      const take = (lists) =>
        Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.splice(0)]));
      return { times: take(times), pixels: take(pixels) };
    },
  };
})();
