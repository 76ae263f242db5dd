import { afterEach, describe, expect, it, vi } from "vitest";
import { isSame } from "../raster/seeded";
import { superpixels } from "../raster/superpixels";
import { reply } from "./answer";
import type { Question } from "./answer";
import { Cancelled, createSmart } from "./smart";

/** A worker on this thread that answers when told to, with what was cloned to it. */
class SlowWorker {
  static readonly all: SlowWorker[] = [];
  onmessage: ((event: unknown) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly terminate = vi.fn<() => void>();
  readonly questions: Question[] = [];

  constructor() {
    SlowWorker.all.push(this);
  }

  postMessage(question: Question, transfer: Transferable[]): void {
    this.questions.push(structuredClone(question, { transfer }));
  }

  answer(): void {
    const question = this.questions.shift();
    if (question !== undefined) this.onmessage?.({ data: reply(question) });
  }

  fail(): void {
    this.onerror?.({ preventDefault: () => undefined });
  }
}

const spawn = (): Worker => new SlowWorker() as unknown as Worker;
const grey = Uint8Array.from({ length: 40 * 30 }, (_, i) => (i * 37) % 251);
const window = { x: 0, y: 0, w: 40, h: 30 };

afterEach(() => {
  SlowWorker.all.length = 0;
});

describe("smart tools", () => {
  it("give what the functions give and leave the caller's arrays usable", async () => {
    const smart = createSmart(spawn);
    const seeds = new Uint8Array(1200);
    seeds[500] = 3;
    const asked = [
      smart.superpixels(grey, 40, 30, 8),
      smart.watershed(grey, 40, 30, seeds, window),
    ] as const;
    for (const worker of SlowWorker.all) worker.answer();
    const [map, values] = await Promise.all(asked);
    expect(isSame(map, superpixels(grey, 40, 30, 8))).toBe(true);
    expect(isSame(values, new Uint8Array(1200).fill(3))).toBe(true);
    expect(grey.length).toBe(1200);
    expect(seeds.length).toBe(1200);
  });

  it("let a newer slow question stop the older one, and only that kind", async () => {
    const smart = createSmart(spawn);
    const other = smart.superpixels(grey, 40, 30, 8);
    const seeds = new Uint8Array(1200).fill(1);
    const older = smart.watershed(grey, 40, 30, seeds, window);
    const newer = smart.watershed(grey, 40, 30, seeds.fill(2), window);
    await expect(older).rejects.toBeInstanceOf(Cancelled);
    const [first, stopped, fresh] = SlowWorker.all;
    expect(stopped.terminate).toHaveBeenCalledOnce();
    expect(first.terminate).not.toHaveBeenCalled();
    stopped.answer();
    fresh.answer();
    first.answer();
    expect((await newer)[0]).toBe(2);
    expect((await other).length).toBe(1200);
  });

  it("reject with a plain sentence and work again afterwards", async () => {
    const smart = createSmart(spawn);
    const wrong = smart.superpixels(grey, 41, 30, 8);
    SlowWorker.all[0].answer();
    await expect(wrong).rejects.toThrow(
      "The superpixels could not be computed: 1200 grey values do not fill 41 x 30 pixels.",
    );
    const crashed = smart.superpixels(grey, 40, 30, 8);
    SlowWorker.all[0].fail();
    await expect(crashed).rejects.toThrow("The superpixels stopped unexpectedly; try again.");
    const again = smart.superpixels(grey, 40, 30, 8);
    SlowWorker.all[1].answer();
    expect((await again).length).toBe(1200);
  });

  it("reject when no worker can be started", async () => {
    const smart = createSmart(() => {
      throw new Error("refused");
    });
    await expect(smart.superpixels(grey, 40, 30, 8)).rejects.toThrow("could not be started");
  });

  it("can be cancelled and closed", async () => {
    const smart = createSmart(spawn);
    const given = smart.superpixels(grey, 40, 30, 8);
    smart.cancel();
    await expect(given).rejects.toBeInstanceOf(Cancelled);
    const waiting = smart.superpixels(grey, 40, 30, 8);
    smart.close();
    await expect(waiting).rejects.toBeInstanceOf(Cancelled);
    expect(SlowWorker.all.every(({ terminate }) => terminate.mock.calls.length > 0)).toBe(true);
    await expect(smart.superpixels(grey, 40, 30, 8)).rejects.toThrow("closed");
  });
});
