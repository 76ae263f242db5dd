/** Signals whose value this browser remembers. */
import { effect, type Signal, signal } from "@preact/signals";

/** A signal kept in localStorage under `cisterna.<name>`; unreadable values fall back. */
export function stored<T>(name: string, fallback: T): Signal<T> {
  const key = `cisterna.${name}`;
  const value = signal(read(key, fallback));
  effect(() => {
    try {
      localStorage.setItem(key, JSON.stringify(value.value));
    } catch {
      // private windows may refuse: the setting then lasts as long as the page
    }
  });
  return value;
}

function read<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(key);
    if (text === null) return fallback;
    const value = JSON.parse(text) as T;
    const plain = (x: unknown) => typeof x === "object" && x !== null && !Array.isArray(x);
    return plain(value) && plain(fallback) ? { ...fallback, ...value } : value;
  } catch {
    return fallback;
  }
}
