/** Local contrast: contrast-limited adaptive histogram equalisation. */

const CELL = 64;
/** A grey may take at most this many times its even share of a cell. */
const LIMIT = 3;

/**
 * Equalises each cell of about 64 px with a limit on contrast and blends between the
 * middles of the cells (after Pizer et al. 1987 and Zuiderveld 1994).
 */
export function clahe(grey: Uint8Array, width: number, height: number): Uint8Array {
  const columns = Math.max(1, Math.round(width / CELL));
  const rows = Math.max(1, Math.round(height / CELL));
  const curves = new Float32Array(columns * rows * 256);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x0 = Math.floor((column * width) / columns);
      const x1 = Math.floor(((column + 1) * width) / columns);
      const y0 = Math.floor((row * height) / rows);
      const y1 = Math.floor(((row + 1) * height) / rows);
      const at = (row * columns + column) * 256;
      curve(grey, width, x0, x1, y0, y1, curves.subarray(at, at + 256));
    }
  }
  const out = new Uint8Array(grey.length);
  const across = blends(width, columns);
  const down = blends(height, rows);
  for (let y = 0, i = 0; y < height; y++) {
    const upper = down.first[y] * columns;
    const lower = down.second[y] * columns;
    const v = down.weight[y];
    for (let x = 0; x < width; x++, i++) {
      const left = across.first[x];
      const right = across.second[x];
      const u = across.weight[x];
      const value = grey[i];
      const above =
        curves[(upper + left) * 256 + value] * (1 - u) + curves[(upper + right) * 256 + value] * u;
      const below =
        curves[(lower + left) * 256 + value] * (1 - u) + curves[(lower + right) * 256 + value] * u;
      out[i] = Math.round(above * (1 - v) + below * v);
    }
  }
  return out;
}

/** Fills `into` with the equalising curve (0-255) of one cell. */
function curve(
  grey: Uint8Array,
  width: number,
  x0: number,
  x1: number,
  y0: number,
  y1: number,
  into: Float32Array,
): void {
  const counts = new Float32Array(256);
  for (let y = y0; y < y1; y++) {
    for (let i = y * width + x0; i < y * width + x1; i++) counts[grey[i]]++;
  }
  const area = (x1 - x0) * (y1 - y0);
  const most = (LIMIT * area) / 256;
  let spare = 0;
  for (let i = 0; i < 256; i++) {
    if (counts[i] <= most) continue;
    spare += counts[i] - most;
    counts[i] = most;
  }
  let below = 0;
  for (let i = 0; i < 256; i++) {
    const count = counts[i] + spare / 256;
    // the middle of the step, so that an even cell keeps its grey scale
    into[i] = ((below + count / 2) / area) * 255;
    below += count;
  }
}

interface Blends {
  readonly first: Uint16Array;
  readonly second: Uint16Array;
  readonly weight: Float32Array;
}

/** Per pixel of one axis: the two nearest cells and the weight of the second. */
function blends(length: number, cells: number): Blends {
  const first = new Uint16Array(length);
  const second = new Uint16Array(length);
  const weight = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const place = ((i + 0.5) * cells) / length - 0.5;
    const low = Math.floor(place);
    first[i] = Math.max(0, low);
    second[i] = Math.min(cells - 1, low + 1);
    weight[i] = place - low;
  }
  return { first, second, weight };
}
