/** Where the person is: the path and its query, as a signal. */
import { computed, signal } from "@preact/signals";

const place = signal(new URL(location.href));
addEventListener("popstate", () => (place.value = new URL(location.href)));

/** The parts of the path: `/projects/liver/annotate` is ["projects", "liver", "annotate"]. */
export const path = computed(() => place.value.pathname.split("/").filter(Boolean));

/** The query of the address: deep links keep tile and view here. */
export const query = computed(() => place.value.searchParams);

/** Go to a path of the page. */
export function go(to: string, { replace = false } = {}): void {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  place.value = new URL(location.href);
}

/** Change parameters of the address without leaving; null takes one away. */
export function setQuery(changes: Record<string, string | null>): void {
  const next = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) next.searchParams.delete(name);
    else next.searchParams.set(name, value);
  }
  go(next.pathname + next.search, { replace: true });
}

/** Let links within the page change the view instead of loading it anew. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (/^\/(api|docs|metrics|healthz|readyz)(\/|$)/.test(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
