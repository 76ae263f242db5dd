/** Which of the sheets over the page is open. */
import { signal } from "@preact/signals";
import { stored } from "../../shell/stored";

/** Help, the choice of keys, or the tour; null when the page is free. */
export const sheet = signal<"help" | "keys" | "tour" | null>(null);

/** Whether this browser has shown the tour. */
export const toured = stored("toured", { done: false });
