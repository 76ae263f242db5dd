/** What is shown when a room breaks: words and a way on instead of an empty page. */
import type { ComponentChildren } from "preact";
import { useEffect, useErrorBoundary } from "preact/hooks";
import { path } from "./router";

/** Shows its children, or why they could not be shown. */
export function Boundary({ children }: { children: ComponentChildren }) {
  const [error, again] = useErrorBoundary();
  // another room may be well
  useEffect(() => {
    if (error !== undefined) again();
  }, [path.value]);
  if (error === undefined) return <>{children}</>;
  return (
    <main id="main" class="page">
      <h1>This room cannot be shown</h1>
      <p role="alert">{(error as Error).message}</p>
      <p>What was painted is kept. The page may be older or newer than the server: load it again.</p>
      <p class="row">
        <button type="button" class="primary" onClick={() => location.reload()}>
          Load the page again
        </button>
        <button type="button" onClick={again}>
          Try without loading
        </button>
      </p>
    </main>
  );
}
