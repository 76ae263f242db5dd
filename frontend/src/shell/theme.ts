/** Dark by default, as EM is looked at in dark rooms; light on request. */
import { effect } from "@preact/signals";
import { stored } from "./stored";

export const theme = stored<"dark" | "light">("theme", "dark");
effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

/** Change between dark and light. */
export function toggleTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
}
