/** What may be a slip on the tile, looked for while the person rests, so that it is known at once. */
import { effect } from "@preact/signals";
import type { Finding, LintOptions } from "../../raster/lint";
import type { Raster } from "../../raster/types";
import type { Workbench } from "../workbench";

const REST_MS = 1000;
/** Parts of fewer pixels than this are pointed out. */
const SPECK = 12;
/** Less active time than this is pointed out. */
const LEAST_SECONDS = 10;

export interface Question {
  readonly id: number;
  readonly raster: Raster;
  readonly options: LintOptions;
}

export interface Answer {
  readonly id: number;
  readonly findings: Finding[];
}

/** One thread for all tiles: starting it takes longer than most answers. */
let worker: Worker | null = null;
let asked = 0;
const open = new Map<number, { resolve: (found: Finding[]) => void; reject: () => void }>();

function ask(raster: Raster, options: LintOptions): Promise<Finding[]> {
  if (worker === null) {
    worker = new Worker(new URL("./slips.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      open.get(data.id)?.resolve(data.findings);
      open.delete(data.id);
    };
    worker.onerror = () => {
      for (const { reject } of open.values()) reject();
      open.clear();
      worker = null;
    };
  }
  const id = ++asked;
  worker.postMessage({ id, raster, options } satisfies Question);
  return new Promise((resolve, reject) => open.set(id, { resolve, reject }));
}

export interface Slips {
  /** The slips of the tile as it is now. */
  findings(): Promise<readonly Finding[]>;
  stop(): void;
}

/** Look for slips on a bench; `seconds` is the active time on it. */
export function lookForSlips(bench: Workbench, seconds: () => number): Slips {
  const { asked: labels, prelabel, project } = bench.sheet;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let known: { name: string; found: Promise<Finding[]> } | null = null;

  function look(): Promise<Finding[]> {
    clearTimeout(timer);
    const completeFor = bench.completeFor.peek();
    const name = `${bench.revision.peek()} ${completeFor}`;
    if (known?.name !== name) {
      const options: LintOptions = {
        labels: labels.map((label) => label.value),
        minimumSpeck: SPECK,
        prelabel: prelabel?.data,
        seconds: seconds(),
        minimumSeconds: LEAST_SECONDS,
        completeFor,
        apart: project.never_touch,
      };
      // it only warns: a check that fails must not keep a tile from being sent
      known = { name, found: ask(bench.raster, options).catch(() => []) };
    }
    return known.found;
  }

  let isFirst = true;
  const unfollow = effect(() => {
    void bench.revision.value;
    void bench.completeFor.value;
    clearTimeout(timer);
    if (!isFirst) timer = setTimeout(() => void look(), REST_MS);
    isFirst = false;
  });
  return {
    async findings() {
      const found = await look();
      // time has gone on since it was looked at
      return found.filter(({ kind }) => kind !== "too-fast" || seconds() < LEAST_SECONDS);
    },
    stop() {
      unfollow();
      clearTimeout(timer);
    },
  };
}
