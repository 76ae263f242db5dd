/** Which pixels the threshold brush may paint. */
import type { Grey } from "./types";

/** 1 where the grey value lies from `low` to `high`, both included. */
export function between(grey: Grey["data"], low: number, high: number): Uint8Array {
  const flags = new Uint8Array(grey.length);
  for (let i = 0; i < grey.length; i++) flags[i] = grey[i] >= low && grey[i] <= high ? 1 : 0;
  return flags;
}
