import { describe, expect, it } from "vitest";
import { clahe } from "./clahe";
import { percentiles, shown } from "./display";
import { fromHalf } from "./half";
import { isSame, seeded } from "./seeded";
import type { Grey } from "./types";

const PLAIN = { gamma: 1, invert: false, clahe: false };

function grey(data: Grey["data"], width = data.length): Grey {
  return { width, height: data.length / width, data };
}

describe("percentiles", () => {
  it("are ranks of the sorted greys", () => {
    const random = seeded(70);
    for (let run = 0; run < 30; run++) {
      const data = Uint16Array.from({ length: 1 + random(400) }, () => random(65536));
      const sorted = [...data].sort((a, b) => a - b);
      const at = (percent: number): number =>
        sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1];
      expect(percentiles(grey(data), 2, 98)).toEqual({ low: at(2), high: at(98) });
    }
  });

  it("of reals leave out what is not finite", () => {
    const data = Float32Array.from([NaN, -Infinity, ...Array.from({ length: 101 }, (_, i) => i)]);
    const { low, high } = percentiles(grey(data), 10, 90);
    expect(low).toBeCloseTo(10, 1);
    expect(high).toBeCloseTo(90, 1);
    expect(percentiles(grey(Float32Array.of(NaN)), 1, 99)).toEqual({ low: 0, high: 1 });
    expect(percentiles(grey(Float32Array.of(3, 3)), 1, 99)).toEqual({ low: 3, high: 3 });
  });
});

describe("shown", () => {
  it("maps the window to 0-255 and clips beside it", () => {
    const data = Uint16Array.of(0, 1000, 2000, 3000, 65535);
    const window = { low: 1000, high: 3000, ...PLAIN };
    expect([...shown(grey(data), window)]).toEqual([0, 0, 128, 255, 255]);
    expect([...shown(grey(data), { ...window, invert: true })]).toEqual([255, 255, 127, 0, 0]);
    expect(shown(grey(data), { ...window, gamma: 2 })[2]).toBe(Math.round(255 * Math.SQRT1_2));
    expect(data[1]).toBe(1000);
  });

  it("shows the same for 16 bit and reals, and NaN as black", () => {
    const random = seeded(71);
    const whole = Uint16Array.from({ length: 500 }, () => random(5000));
    const window = { low: 100, high: 4000, gamma: 1.4, invert: false, clahe: false };
    const real = Float32Array.from(whole);
    expect(isSame(shown(grey(whole), window), shown(grey(real), window))).toBe(true);
    expect(shown(grey(Float32Array.of(NaN)), window)[0]).toBe(0);
  });

  it("of a flat window is a threshold", () => {
    const window = { low: 5, high: 5, ...PLAIN };
    expect([...shown(grey(Uint8Array.of(4, 5, 6)), window)]).toEqual([0, 0, 255]);
  });
});

describe("clahe", () => {
  const spread = (data: Uint8Array): number => {
    const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
    return Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
  };

  it("raises faint contrast, within its limit, and keeps the order of greys in a cell", () => {
    const random = seeded(72);
    const faint = Uint8Array.from({ length: 64 * 64 }, () => 100 + random(20));
    const strong = clahe(faint, 64, 64);
    expect(spread(strong)).toBeGreaterThan(2 * spread(faint));
    // at most 3 times (plus the spare) as steep as before
    expect(spread(strong)).toBeLessThan(4 * spread(faint));
    const byGrey = new Map([...faint].map((value, i) => [value, strong[i]]));
    const rising = [...byGrey].sort(([a], [b]) => a - b).map(([, value]) => value);
    expect(rising).toEqual([...rising].sort((a, b) => a - b));
  });

  it("has no seams between cells", () => {
    const ramp = Uint8Array.from({ length: 300 * 200 }, (_, i) => (i % 300) * 0.8);
    const out = clahe(ramp, 300, 200);
    let steepest = 0;
    for (let i = 1; i < out.length; i++) {
      if (i % 300 > 0) steepest = Math.max(steepest, Math.abs(out[i] - out[i - 1]));
    }
    expect(steepest).toBeLessThanOrEqual(5);
  });

  it("works on tiles smaller than a cell", () => {
    expect(clahe(Uint8Array.of(7), 1, 1).length).toBe(1);
    expect(clahe(new Uint8Array(3 * 500), 3, 500).length).toBe(1500);
  });
});

describe("fromHalf", () => {
  it("reads binary16", () => {
    const bits = [0x0000, 0x8000, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x03ff, 0x7c00, 0xfc00];
    const bytes = new ArrayBuffer(2 * bits.length);
    bits.forEach((half, i) => new DataView(bytes).setUint16(2 * i, half, true));
    expect([...fromHalf(bytes)]).toEqual([
      0, -0, 1, -2, 0.333251953125, 65504, 2 ** -24, 1023 * 2 ** -24, Infinity, -Infinity,
    ]);
    expect(fromHalf(new Uint8Array([1, 0x7e]).buffer)[0]).toBeNaN();
  });
});
