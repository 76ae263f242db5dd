/** What may be a slip, said before a tile is sent; it warns and never stops. */
import { components, touchesEdge } from "./fill";
import type { Part } from "./fill";
import { flagsOf } from "./rect";
import { shares } from "./shares";
import type { Raster } from "./types";

/** The kinds of slips. */
export type FindingKind =
  | "speck"
  | "hole"
  | "thin-gap"
  | "touching"
  | "untouched-prelabel"
  | "too-fast"
  | "empty-class";

/** One slip: the label's value (null: the whole tile), how often, and where to look first. */
export interface Finding {
  readonly kind: FindingKind;
  readonly value: number | null;
  readonly count: number;
  readonly at: Place | null;
  /** The label it should not touch. */
  readonly other?: number;
  /** All places where it does. */
  readonly places?: readonly Place[];
}

interface Place {
  readonly x: number;
  readonly y: number;
}

/** What the check goes by. */
export interface LintOptions {
  /** The label values of the project. */
  readonly labels: readonly number[];
  /** Parts and holes below this many pixels are reported. */
  readonly minimumSpeck: number;
  /** What the model suggested, if it did. */
  readonly prelabel?: Uint8Array | undefined;
  /** Active time on the tile, and below what it is too short. */
  readonly seconds?: number | undefined;
  readonly minimumSeconds?: number | undefined;
  /** Pairs of values that are never neighbours. */
  readonly apart?: readonly (readonly number[])[] | undefined;
  /** The values the annotation claims to be complete for; default: all labels. */
  readonly completeFor?: readonly number[] | undefined;
}

/** All slips of a tile, label by label. */
export function lint(raster: Raster, options: LintOptions): Finding[] {
  const findings: Finding[] = [];
  const counts = shares(raster);
  const gaps = gapsOf(raster);
  for (const value of options.labels) {
    if (counts[value] === 0) continue;
    const flags = flagsOf(raster.data, value);
    const { parts } = components(flags, raster.width, raster.height, 8);
    const small = parts.filter((part) => part.area < options.minimumSpeck);
    add(findings, "speck", value, small);
    add(findings, "hole", value, takeHoles(raster, flags, gaps, options.minimumSpeck));
    const narrow = flagsOf(gaps, value);
    add(findings, "thin-gap", value, components(narrow, raster.width, raster.height, 8).parts);
  }
  for (const [one, other] of options.apart ?? []) {
    const { parts } = components(contacts(raster, one, other), raster.width, raster.height, 8);
    if (parts.length === 0) continue;
    const places = parts.map(({ x, y }) => ({ x, y }));
    const count = places.length;
    findings.push({ kind: "touching", value: one, other, count, at: places[0], places });
  }
  findings.push(...missing(raster, counts, options));
  const { prelabel, seconds, minimumSeconds = 10 } = options;
  if (prelabel !== undefined && prelabel.some((value) => value !== 0)) {
    if (prelabel.every((value, i) => value === raster.data[i])) {
      findings.push({ kind: "untouched-prelabel", value: null, count: 1, at: null });
    }
  }
  if (seconds !== undefined && seconds < minimumSeconds) {
    findings.push({ kind: "too-fast", value: null, count: Math.round(seconds), at: null });
  }
  return findings;
}

function add(findings: Finding[], kind: FindingKind, value: number, parts: readonly Part[]): void {
  if (parts.length === 0) return;
  const { x, y } = parts[0];
  findings.push({ kind, value, count: parts.length, at: { x, y } });
}

/** Per pixel: whether it has one of two values and one of its four neighbours the other. */
export function contacts({ width, height, data }: Raster, one: number, other: number): Uint8Array {
  const found = new Uint8Array(data.length);
  const meet = (i: number, j: number) => {
    if ((data[i] === one && data[j] === other) || (data[i] === other && data[j] === one)) {
      found[i] = found[j] = 1;
    }
  };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (x + 1 < width) meet(i, i + 1);
      if (y + 1 < height) meet(i, i + width);
    }
  }
  return found;
}

/**
 * Small holes without a label inside the flagged pixels (another label inside is no slip);
 * their pixels are struck off the gaps, so that none is reported twice.
 */
function takeHoles(raster: Raster, flags: Uint8Array, gaps: Uint8Array, below: number): Part[] {
  const { width, height, data } = raster;
  const others = new Uint8Array(flags.length);
  for (let i = 0; i < flags.length; i++) others[i] = 1 - flags[i];
  const { ids, parts } = components(others, width, height, 4);
  return parts.filter(({ area, rect, x, y }) => {
    if (area >= below || touchesEdge(rect, width, height)) return false;
    const id = ids[y * width + x];
    const pixels: number[] = [];
    for (let row = rect.y; row < rect.y + rect.h; row++) {
      for (let i = row * width + rect.x; i < row * width + rect.x + rect.w; i++) {
        if (ids[i] === id) pixels.push(i);
      }
    }
    if (pixels.some((i) => data[i] !== 0)) return false;
    for (const i of pixels) gaps[i] = 0;
    return true;
  });
}

/** Per pixel without a label: the label on both sides of it, if it is the same, else 0. */
function gapsOf({ width, height, data }: Raster): Uint8Array {
  const gaps = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] !== 0) continue;
      if (x > 0 && x < width - 1 && data[i - 1] === data[i + 1]) gaps[i] = data[i - 1];
      if (gaps[i] === 0 && y > 0 && y < height - 1 && data[i - width] === data[i + width]) {
        gaps[i] = data[i - width];
      }
    }
  }
  return gaps;
}

/** Labels the tile claims to be complete for, yet has none of, though the model saw some. */
function missing(raster: Raster, counts: Uint32Array, options: LintOptions): Finding[] {
  const { prelabel, labels, completeFor = labels } = options;
  const findings: Finding[] = [];
  for (const value of completeFor) {
    if (counts[value] > 0) continue;
    if (prelabel === undefined) {
      findings.push({ kind: "empty-class", value, count: 0, at: null });
      continue;
    }
    const { parts } = components(flagsOf(prelabel, value), raster.width, raster.height, 8);
    const seen = parts.filter((part) => part.area >= options.minimumSpeck);
    add(findings, "empty-class", value, seen);
  }
  return findings;
}
