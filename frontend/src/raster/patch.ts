/**
 * Steps packed small: runs of pixels that stayed (length only) and runs that changed
 * (length, value before, value after). A run's length is a varint of `length * 2 + changed`.
 */
import type { Change, Raster, Rect } from "./types";

/** A packed step. */
export interface Patch {
  readonly rect: Rect;
  readonly code: Uint8Array;
}

/** A growing array of bytes. */
export interface Sink {
  bytes: Uint8Array;
  length: number;
}

/** Appends a whole number, seven bits a byte, lowest first. */
export function putNumber(sink: Sink, value: number): void {
  room(sink, 8);
  let rest = value;
  while (rest > 127) {
    sink.bytes[sink.length++] = (rest & 127) | 128;
    rest = Math.floor(rest / 128);
  }
  sink.bytes[sink.length++] = rest;
}

/** Appends bytes as they are. */
export function putBytes(sink: Sink, bytes: Uint8Array): void {
  room(sink, bytes.length);
  sink.bytes.set(bytes, sink.length);
  sink.length += bytes.length;
}

function room(sink: Sink, more: number): void {
  if (sink.length + more <= sink.bytes.length) return;
  const larger = new Uint8Array(Math.max(sink.bytes.length * 2, sink.length + more));
  larger.set(sink.bytes);
  sink.bytes = larger;
}

/** A place to read from. */
export interface Source {
  readonly bytes: Uint8Array;
  at: number;
}

/** Reads what `putNumber` wrote; RangeError past the end. */
export function takeNumber(source: Source): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    if (source.at >= source.bytes.length) throw new RangeError("The bytes end too early.");
    const byte = source.bytes[source.at++];
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
}

/** Packs a step. */
export function pack(change: Change): Patch {
  const { before, after } = change;
  const sink: Sink = { bytes: new Uint8Array(256), length: 0 };
  for (let i = 0; i < before.length; ) {
    const was = before[i];
    const is = after[i];
    let end = i + 1;
    if (was === is) {
      while (end < before.length && before[end] === after[end]) end++;
      putNumber(sink, (end - i) * 2);
    } else {
      while (end < before.length && before[end] === was && after[end] === is) end++;
      putNumber(sink, (end - i) * 2 + 1);
      room(sink, 2);
      sink.bytes[sink.length++] = was;
      sink.bytes[sink.length++] = is;
    }
    i = end;
  }
  return { rect: change.rect, code: sink.bytes.slice(0, sink.length) };
}

/** Writes one side of a packed step into the raster; the pixels that stayed are not touched. */
export function replay(raster: Raster, patch: Patch, side: "before" | "after"): void {
  const { x, y, w, h } = patch.rect;
  if (x + w > raster.width || y + h > raster.height) {
    throw new RangeError("The step belongs to a larger tile.");
  }
  eachRun(patch, (from, length, before, after) => {
    const value = side === "before" ? before : after;
    let row = Math.floor(from / w);
    let column = from - row * w;
    for (let left = length; left > 0; row++, column = 0) {
      const part = Math.min(left, w - column);
      const start = (y + row) * raster.width + x + column;
      raster.data.fill(value, start, start + part);
      left -= part;
    }
  });
}

/** Whether the runs of a patch fill its box exactly. */
export function isSound(patch: Patch): boolean {
  try {
    return eachRun(patch, () => undefined) === patch.rect.w * patch.rect.h;
  } catch {
    return false;
  }
}

type RunVisitor = (from: number, length: number, before: number, after: number) => void;

function eachRun(patch: Patch, visit: RunVisitor): number {
  const source: Source = { bytes: patch.code, at: 0 };
  let pixel = 0;
  while (source.at < source.bytes.length) {
    const head = takeNumber(source);
    const length = Math.floor(head / 2);
    if (head % 2 === 1) {
      if (source.at + 2 > source.bytes.length) throw new RangeError("The bytes end too early.");
      visit(pixel, length, source.bytes[source.at], source.bytes[source.at + 1]);
      source.at += 2;
    }
    pixel += length;
  }
  return pixel;
}
