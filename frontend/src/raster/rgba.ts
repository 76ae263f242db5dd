/** Pixels as `ImageData` seen through a `Uint32Array` holds them on little-endian machines. */

/** Packs four bytes; alpha is not multiplied in, as `putImageData` wants it. */
export function rgba(red: number, green: number, blue: number, alpha: number): number {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** The same colour with another alpha (0-255). */
export function withAlpha(pixel: number, alpha: number): number {
  return ((pixel & 0xffffff) | (alpha << 24)) >>> 0;
}

/** A "#rrggbb" colour as a pixel; anything else is mid grey. */
export function fromHex(colour: string, alpha: number): number {
  const match = /^#([0-9a-f]{6})$/i.exec(colour);
  const bits = match === null ? 0x808080 : Number.parseInt(match[1], 16);
  return rgba(bits >> 16, (bits >> 8) & 255, bits & 255, alpha);
}
