import { describe, expect, it } from "vitest";
import { compareRasters, dice, difference } from "./compare";
import { hotspots } from "./hotspots";
import { contacts, lint } from "./lint";
import type { Finding, LintOptions } from "./lint";
import { blotches, raster, seeded } from "./seeded";

describe("hotspots", () => {
  const blank = (): Float32Array => new Float32Array(200 * 150);
  const spot = (map: Float32Array, x: number, y: number, side: number, value: number): void => {
    for (let dy = 0; dy < side; dy++) {
      map.fill(value, (y + dy) * 200 + x, (y + dy) * 200 + x + side);
    }
  };

  it("come most mass first, and single pixels are noise", () => {
    const map = blank();
    spot(map, 20, 20, 10, 0.6);
    spot(map, 120, 80, 16, 0.5);
    map[5000] = 1;
    map[9000] = NaN;
    const found = hotspots(map, 200, 150, { threshold: 0.3, minimumArea: 20 });
    expect(found.length).toBe(2);
    const [first, second] = found;
    expect(first.mass).toBeGreaterThan(second.mass);
    expect(first.x >= 120 && first.x < 136 && first.y >= 80 && first.y < 96).toBe(true);
    expect(second.x >= 20 && second.x < 30 && second.y >= 20 && second.y < 30).toBe(true);
    expect(first.peak).toBeCloseTo(0.5, 5);
    expect(first.area).toBeGreaterThanOrEqual(200);
    const larger = hotspots(map, 200, 150, { threshold: 0.3, minimumArea: 150 });
    expect(larger.length).toBe(1);
  });

  it("cut a band across the tile into several", () => {
    const map = blank();
    for (let y = 70; y < 78; y++) map.fill(0.8, y * 200, y * 200 + 200);
    const found = hotspots(map, 200, 150, { threshold: 0.4, minimumArea: 20 });
    expect(found.length).toBeGreaterThanOrEqual(3);
    expect(found.reduce((sum, { area }) => sum + area, 0)).toBeGreaterThanOrEqual(200 * 8);
  });

  it("of a cold map are none", () => {
    expect(hotspots(blank(), 200, 150, { threshold: 0.1, minimumArea: 1 })).toEqual([]);
  });
});

describe("compare", () => {
  it("counts as brute force does and leaves unknown out", () => {
    const random = seeded(90);
    for (let run = 0; run < 30; run++) {
      const [a, b] = [0, 1].map(() =>
        blotches(random, 15, 15, 4).data.map((value) => (random(9) === 0 ? 255 : value)),
      );
      for (const { value, onlyA, onlyB, both, dice: score } of compareRasters(a, b, [1, 2, 3])) {
        const known = [...a.keys()].filter((i) => a[i] !== 255 && b[i] !== 255);
        const inA = known.filter((i) => a[i] === value).length;
        const inB = known.filter((i) => b[i] === value).length;
        const inBoth = known.filter((i) => a[i] === value && b[i] === value).length;
        expect([onlyA, onlyB, both]).toEqual([inA - inBoth, inB - inBoth, inBoth]);
        expect(score).toBeCloseTo((2 * inBoth) / (inA + inB), 12);
        expect(dice(a, b, value)).toBe(score);
      }
    }
  });

  it("has no Dice for a label nobody drew and refuses other sizes", () => {
    expect(dice(Uint8Array.of(1, 0), Uint8Array.of(1, 0), 2)).toBeNull();
    expect(() => dice(Uint8Array.of(1), Uint8Array.of(1, 0), 1)).toThrow(RangeError);
  });

  it("tells the kinds of difference apart", () => {
    const a = Uint8Array.of(0, 1, 1, 0, 1, 255, 1);
    const b = Uint8Array.of(0, 1, 0, 1, 2, 0, 255);
    expect([...difference(a, b)]).toEqual([0, 0, 1, 2, 3, 4, 4]);
  });
});

describe("lint", () => {
  const tile = raster(
    "111110000000",
    "101110000300",
    "111110000000",
    "111112220222",
    "000002220222",
    "000002220222",
  );
  const options: LintOptions = { labels: [1, 2, 3], minimumSpeck: 3 };
  const kinds = (findings: Finding[]): string[] =>
    findings.map(({ kind, value }) => `${kind} ${value}`);

  it("finds specks, holes and gaps one pixel wide, and says where", () => {
    expect(lint(tile, options)).toEqual([
      { kind: "hole", value: 1, count: 1, at: { x: 1, y: 1 } },
      { kind: "thin-gap", value: 2, count: 1, at: { x: 8, y: 3 } },
      { kind: "speck", value: 3, count: 1, at: { x: 9, y: 1 } },
    ]);
    expect(lint(tile, { ...options, minimumSpeck: 1 }).map(({ kind }) => kind)).not.toContain(
      "speck",
    );
  });

  it("does not call another label inside a hole", () => {
    const droplet = raster("11111", "11211", "11111");
    expect(kinds(lint(droplet, { labels: [1, 2], minimumSpeck: 1 }))).toEqual([]);
    expect(kinds(lint(droplet, { labels: [1], minimumSpeck: 5 }))).toEqual([]);
  });

  it("finds an untouched suggestion and a tile done too fast", () => {
    const prelabel = tile.data.slice();
    const found = kinds(lint(tile, { ...options, prelabel, seconds: 3, minimumSeconds: 8 }));
    expect(found).toContain("untouched-prelabel null");
    expect(found).toContain("too-fast null");
    prelabel[0] = 0;
    expect(kinds(lint(tile, { ...options, prelabel, seconds: 9, minimumSeconds: 8 }))).toEqual(
      kinds(lint(tile, options)),
    );
    const empty = raster("000");
    const nothing = lint(empty, { labels: [], minimumSpeck: 1, prelabel: empty.data });
    expect(nothing).toEqual([]);
  });

  it("finds a class that is missing: without a suggestion always, else if the model saw it", () => {
    const some = raster("1100", "1100");
    const base = { labels: [1, 2, 3], minimumSpeck: 2 };
    expect(kinds(lint(some, base))).toEqual(["empty-class 2", "empty-class 3"]);
    expect(kinds(lint(some, { ...base, completeFor: [1] }))).toEqual([]);
    const prelabel = Uint8Array.of(1, 1, 0, 2, 1, 1, 0, 2);
    expect(lint(some, { ...base, prelabel })).toEqual([
      { kind: "empty-class", value: 2, count: 1, at: { x: 3, y: 0 } },
    ]);
  });

  it("points at every place where labels touch that never do", () => {
    const cell = raster("11200", "00000", "00112", "30000", "31100");
    const base = { labels: [], minimumSpeck: 1, completeFor: [] };
    expect(lint(cell, base)).toEqual([]);
    const [pair, ...more] = lint(cell, { ...base, apart: [[1, 2]] });
    expect(more).toEqual([]);
    expect(pair).toMatchObject({ kind: "touching", value: 1, other: 2, count: 2 });
    expect(pair.places).toEqual([
      { x: 1, y: 0 },
      { x: 3, y: 2 },
    ]);
    // corners do not touch, and the order of a pair says nothing
    expect(lint(raster("10", "02"), { ...base, apart: [[1, 2]] })).toEqual([]);
    expect(kinds(lint(cell, { ...base, apart: [[2, 3], [3, 1]] }))).toEqual(["touching 3"]);
  });

  it("finds touching labels as brute force does", () => {
    const random = seeded(7);
    for (let run = 0; run < 20; run++) {
      const tile = blotches(random, 12, 9, 4);
      const at = (x: number, y: number) =>
        x < 0 || y < 0 || x >= 12 || y >= 9 ? -1 : tile.data[y * 12 + x];
      const found = contacts(tile, 1, 2);
      for (let y = 0; y < 9; y++) {
        for (let x = 0; x < 12; x++) {
          const around = [at(x - 1, y), at(x + 1, y), at(x, y - 1), at(x, y + 1)];
          const value = at(x, y);
          const meets = (value === 1 && around.includes(2)) || (value === 2 && around.includes(1));
          expect(found[y * 12 + x]).toBe(meets ? 1 : 0);
        }
      }
    }
  });
});
