/** The four tools that paint along the pointer. */
import { computed } from "@preact/signals";
import { writable } from "../../../raster/apply";
import { clip, flagsOf } from "../../../raster/rect";
import { between } from "../../../raster/threshold";
import { guard, locked, paintValue, threshold } from "../../settings";
import type { Workbench } from "../../workbench";
import { anchor, footprint } from "../footprint";
import { shownGrey } from "../shown";
import { type Ink, strokeTool } from "./stroke";
import type { Tool } from "./tool";

/** "Only background" says nothing about erasing: only there everything but locked labels goes. */
export const erasable = computed(() =>
  writable(guard.value.mode === "background" ? { mode: "all" } : guard.value, locked.value),
);

const erasing = (): readonly Ink[] => [{ value: 0, writable: erasable.peek() }];

/** Paints the chosen label. */
export function brushTool(bench: Workbench): Tool {
  return strokeTool(bench, "Drag to paint. Hold Alt to erase. Shift+click picks a label.", (spot) =>
    spot.erase ? erasing() : [{ value: paintValue.peek(), writable: bench.writable.peek() }],
  );
}

/** Paints background. */
export function eraserTool(bench: Workbench): Tool {
  return strokeTool(bench, "Drag to erase to background.", erasing);
}

/** Paints the chosen label where the shown grey lies in the range. */
export function thresholdTool(bench: Workbench): Tool {
  const grey = shownGrey(bench);
  const within = computed(() =>
    between(grey.value.tile, threshold.value.low, threshold.value.high),
  );
  const hint = "Drag to paint only pixels within the grey range; they light up under the brush.";
  const stroke = strokeTool(bench, hint, (spot) => {
    const ink = spot.erase || spot.alt
      ? { value: 0, writable: erasable.peek() }
      : { value: paintValue.peek(), writable: bench.writable.peek() };
    return [{ ...ink, within: within.peek() }];
  });
  const { width, height, data } = bench.raster;
  return {
    ...stroke,
    lights(at) {
      const { size, spans } = footprint.value;
      const { x, y } = anchor(footprint.value, at);
      const rect = clip({ x: x - (size >> 1), y: y - (size >> 1), w: size, h: size }, width, height);
      if (rect === null) return null;
      const bits = new Uint8Array(rect.w * rect.h);
      for (let row = 0; row < rect.h; row++) {
        const span = (rect.y + row - y + (size >> 1)) * 3;
        const end = Math.min(rect.x + rect.w, x + spans[span + 2]);
        for (let column = Math.max(rect.x, x + spans[span + 1]); column < end; column++) {
          const i = (rect.y + row) * width + column;
          const changes = data[i] !== paintValue.value && bench.writable.value[data[i]] === 1;
          if (changes && within.value[i] === 1) bits[row * rect.w + column - rect.x] = 1;
        }
      }
      return { rect, bits };
    },
  };
}

/** Paints back what the pre-label says. */
export function restoreTool(bench: Workbench): Tool {
  const prelabel = bench.sheet.prelabel;
  const parts = computed(() => {
    const values = prelabel === null ? [] : [...new Set(prelabel.data)];
    return values.map((value) => ({
      value,
      within: flagsOf(prelabel?.data ?? new Uint8Array(0), value),
    }));
  });
  const hint =
    prelabel === null
      ? "This tile has no pre-label to restore."
      : "Drag to bring the pre-label back.";
  return strokeTool(bench, hint, () =>
    parts.peek().map((part) => ({ ...part, writable: erasable.peek() })),
  );
}
