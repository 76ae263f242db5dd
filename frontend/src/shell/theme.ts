/** Dark by default, as EM is looked at in dark rooms; light on request. */
import { computed, effect } from "@preact/signals";
import { stored } from "./stored";

export const theme = stored<"dark" | "light">("theme", "dark");
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** The colour of axes and their words, which a canvas cannot take from the style sheet. */
export const chartInk = computed(() => (theme.value === "dark" ? "#a3b0bd" : "#4d5a67"));

/** Change between dark and light. */
export function toggleTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
}
