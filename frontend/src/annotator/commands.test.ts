import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Label } from "../api/client";
import { UNKNOWN } from "../raster/types";
import { command, type Context } from "./commands";
import { onlyAsked } from "./flow/sheet";
import { measure } from "./panels/cleaning";
import { sheet } from "./panels/sheets";
import * as settings from "./settings";
import { labels, specimen } from "./specimen";
import { Workbench } from "./workbench";

const flow = { submit: vi.fn(), skip: vi.fn(), save: vi.fn(), flag: vi.fn(), release: vi.fn() };
const run = (id: string, context: Context) => command(id).run(context);
const count = (bench: Workbench, value: number) =>
  bench.raster.data.reduce((sum, found) => sum + (found === value ? 1 : 0), 0);

function onBench(changes: Parameters<typeof specimen>[2] = {}): Context {
  return { bench: new Workbench(specimen(64, 16, changes)), flow };
}

beforeEach(() => {
  vi.clearAllMocks();
  settings.guard.value = { mode: "all", value: 0 };
  settings.locked.value = new Set();
  settings.hidden.value = new Set();
  settings.paintValue.value = 1;
  settings.tool.value = "brush";
  settings.brush.value = { size: 16, square: false };
});

describe("labels", () => {
  it("are chosen by their place in the project's list, whatever the task asks for", () => {
    const context = onBench({ asked: [labels[2]] });
    run("label.2", context);
    expect(settings.paintValue.value).toBe(2);
    run("label.8", context);
    expect(settings.paintValue.value).toBe(2);
  });

  it("bring the brush back from the eraser, and leave a fill a fill", () => {
    const context = onBench();
    settings.tool.value = "eraser";
    run("label.1", context);
    expect(settings.tool.value).toBe("brush");
    settings.tool.value = "fill";
    run("label.2", context);
    expect(settings.tool.value).toBe("fill");
  });

  it("go round with background and unknown", () => {
    const context = onBench();
    settings.paintValue.value = 3;
    const seen = [1, 2, 3].map(() => {
      run("label.next", context);
      return settings.paintValue.value;
    });
    expect(seen).toEqual([0, UNKNOWN, 1]);
    run("label.previous", context);
    expect(settings.paintValue.value).toBe(UNKNOWN);
  });
});

describe("the pre-label", () => {
  it("is accepted per label in one step, and undone in one", () => {
    const { bench, flow } = onBench();
    settings.paintValue.value = 2;
    run("prelabel.accept", { bench, flow });
    expect([...bench.raster.data]).toEqual([...(bench.sheet.prelabel?.data ?? [])]);
    run("edit.undo", { bench, flow });
    expect(bench.raster.data.every((value) => value === 0)).toBe(true);
    run("edit.redo", { bench, flow });
    expect(count(bench, 2)).toBeGreaterThan(0);
  });

  it("leaves what is locked or protected", () => {
    const context = onBench({ start: new Uint8Array(64 * 64).fill(3) });
    settings.locked.value = new Set([3]);
    run("prelabel.all", context);
    expect(count(context.bench, 3)).toBe(64 * 64);
    expect(context.bench.history.canUndo).toBe(false);
  });

  it("says nothing of labels a task does not ask for", () => {
    const start = new Uint8Array(64 * 64).fill(3, 0, 64 * 32);
    const { prelabel, project } = specimen();
    const of = (asked: readonly Label[]) => onlyAsked(prelabel!.data, start, asked, project);
    const lower = (value: number) => of([labels[value - 1]]).subarray(64 * 32);
    expect(of([labels[0]]).subarray(0, 64 * 32).every((value) => value === 3)).toBe(true);
    expect(lower(1).every((value) => value === 0)).toBe(true);
    expect(lower(2)).toEqual(prelabel!.data.subarray(64 * 32));
    expect(of(labels)).toEqual(prelabel!.data);
  });

  it("is cleared per label even where only background may be painted", () => {
    const context = onBench({ start: new Uint8Array(64 * 64).fill(2) });
    settings.guard.value = { mode: "background", value: 0 };
    settings.paintValue.value = 2;
    run("prelabel.clear", context);
    expect(count(context.bench, 2)).toBe(0);
  });

  it("leaves only the hot regions to be labelled, in one step", async () => {
    const context = onBench();
    run("prelabel.hot", context);
    await vi.waitFor(() => expect(context.bench.revision.value).toBe(1));
    const { data, width } = context.bench.raster;
    // hot is the rim of the disc in the middle, 16 px from it, and some pixels to both sides
    expect(data[32 * width + 32 + 16]).toBe(0);
    expect(data[32 * width + 32 + 22]).toBe(0);
    expect(data[32 * width + 32]).toBe(UNKNOWN);
    expect(data[0]).toBe(UNKNOWN);
    run("edit.undo", context);
    expect(count(context.bench, UNKNOWN)).toBe(0);
  });
});

describe("cleaning up", () => {
  const square = () => {
    const start = new Uint8Array(64 * 64);
    for (let y = 20; y < 30; y++) start.fill(1, y * 64 + 20, y * 64 + 30);
    start[25 * 64 + 25] = 0;
    start[2 * 64 + 2] = 1;
    return start;
  };

  it("fills holes, removes specks, grows and shrinks the chosen label", () => {
    const context = onBench({ start: square() });
    measure.value = { pixels: 1, speck: 30 };
    run("clean.holes", context);
    expect(count(context.bench, 1)).toBe(101);
    run("clean.specks", context);
    expect(count(context.bench, 1)).toBe(100);
    run("clean.shrink", context);
    expect(count(context.bench, 1)).toBe(64);
    run("edit.undo", context);
    expect(count(context.bench, 1)).toBe(100);
    run("clean.grow", context);
    expect(count(context.bench, 1)).toBeGreaterThan(130);
  });

  it("shrinks where only background may be painted, and grows not over other labels", () => {
    const start = square();
    start.fill(2, 30 * 64, 31 * 64);
    const context = onBench({ start });
    settings.guard.value = { mode: "background", value: 0 };
    run("clean.grow", context);
    expect(count(context.bench, 2)).toBe(64);
    const before = count(context.bench, 1);
    run("clean.shrink", context);
    expect(count(context.bench, 1)).toBeLessThan(before);
  });

  it("is off the record when nothing changes", () => {
    const context = onBench();
    run("clean.specks", context);
    expect(context.bench.history.canUndo).toBe(false);
  });
});

describe("the rest", () => {
  it("sizes the brush by single pixels when it is small, within 1 to 256", () => {
    const context = onBench();
    settings.brush.value = { size: 2, square: false };
    run("brush.smaller", context);
    run("brush.smaller", context);
    expect(settings.brushSize.value).toBe(1);
    for (let i = 0; i < 100; i++) run("brush.larger", context);
    expect(settings.brushSize.value).toBe(256);
  });

  it("goes round the protect switch with the chosen label", () => {
    const context = onBench();
    run("brush.protect", context);
    run("brush.protect", context);
    expect(settings.guard.value).toEqual({ mode: "only", value: 1 });
    expect(context.bench.writable.value[1]).toBe(1);
    expect(context.bench.writable.value[0]).toBe(0);
    run("brush.protect", context);
    expect(settings.guard.value.mode).toBe("all");
  });

  it("hands the tile to the flow", () => {
    const context = onBench();
    for (const id of ["submit", "skip", "flag", "save", "release"]) run(`tile.${id}`, context);
    expect(Object.values(flow).every((act) => act.mock.calls.length === 1)).toBe(true);
  });

  it("shows grey values inverted for this project only", () => {
    const context = onBench();
    run("view.invert", context);
    expect(settings.displays.value.liver?.invert).toBe(true);
    expect(Object.keys(settings.displays.value)).toEqual(["liver"]);
  });

  it("opens the sheet of keys", () => {
    run("help.sheet", onBench());
    expect(sheet.value).toBe("help");
    sheet.value = null;
  });
});
