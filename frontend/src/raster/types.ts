/** The values all raster functions speak of. Arrays are row-major, one entry per pixel. */

/** A box in whole pixels. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A tile's labels: 0 none, 1-254 label values, 255 unknown. The one truth about a tile. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Grey values as the microscope gave them. */
export interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint16Array | Float32Array;
}

/** Chosen pixels: 1 inside, 0 outside, of the size of `rect`. */
export interface Selection {
  readonly rect: Rect;
  readonly bits: Uint8Array;
}

/** One undoable step: the labels of `rect` before and after it. */
export interface Change {
  readonly rect: Rect;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** 256 flags: whether a pixel that holds this value may be overwritten. */
export type Writable = Uint8Array;

export const UNKNOWN = 255;
