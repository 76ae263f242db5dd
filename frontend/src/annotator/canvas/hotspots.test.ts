import { beforeEach, describe, expect, it } from "vitest";
import { uncertainty } from "../settings";
import { specimen } from "../specimen";
import { Workbench } from "../workbench";
import { beacon, nextHotspot, normalEntropy } from "./hotspots";
import { resize } from "./viewport";

let bench: Workbench;
beforeEach(() => {
  bench = new Workbench(specimen(256));
  resize(bench, 800, 600, 1);
  uncertainty.value = { visible: false, opacity: 0.6, threshold: 0.35 };
});

describe("the uncertainty", () => {
  it("is 1 where all labels and none are equally likely", async () => {
    const even = new Workbench(
      specimen(8, 0, { entropy: async () => new Float32Array(64).fill(Math.log(4)) }),
    );
    expect((await normalEntropy(even))?.[0]).toBeCloseTo(1, 6);
  });

  it("is asked for again after it could not be fetched", async () => {
    let asked = 0;
    const entropy = async () => {
      if (asked++ === 0) throw new Error("The server does not answer.");
      return new Float32Array(64);
    };
    const shaky = new Workbench(specimen(8, 0, { entropy }));
    await expect(normalEntropy(shaky)).rejects.toThrow();
    expect(await normalEntropy(shaky)).toHaveLength(64);
  });
});

describe("the next hot spot", () => {
  it("comes to the middle of the screen, one after the other", async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await nextHotspot(bench);
      const { scale, left, top } = bench.view.value;
      const spot = beacon.value!;
      expect((spot.x - left) * scale).toBeCloseTo(400, 6);
      expect((spot.y - top) * scale).toBeCloseTo(300, 6);
      // on the rim of the specimen's disc
      expect(Math.abs(Math.hypot(spot.x - 128, spot.y - 128) - 64)).toBeLessThan(4);
      seen.add(`${spot.x} ${spot.y}`);
    }
    expect(seen.size).toBe(3);
  });

  it("moves nothing where no model has looked", async () => {
    const blind = new Workbench(specimen(64, 16, { entropy: async () => null }));
    const view = blind.view.value;
    await nextHotspot(blind);
    expect(blind.view.value).toBe(view);
  });
});
