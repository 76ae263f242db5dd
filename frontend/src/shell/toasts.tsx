/** Short messages at the edge of the page; errors stay until they are closed. */
import { signal } from "@preact/signals";

interface Toast {
  id: number;
  kind: "info" | "error";
  text: string;
}

const toasts = signal<readonly Toast[]>([]);
let number = 0;

function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Say something that goes away by itself. */
export function tell(text: string): void {
  const id = ++number;
  toasts.value = [...toasts.value, { id, kind: "info", text }];
  setTimeout(() => close(id), 5000);
}

/** Say what went wrong; the same sentence twice is shown once. */
export function complain(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  if (toasts.value.some((toast) => toast.text === text)) return;
  toasts.value = [...toasts.value, { id: ++number, kind: "error", text }];
}

/** Where the messages stand. */
export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`} role={toast.kind === "error" ? "alert" : "status"}>
          <span>{toast.text}</span>
          <button type="button" aria-label="Close this message" onClick={() => close(toast.id)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
