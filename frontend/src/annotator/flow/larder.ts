/** Tiles fetched before they are needed. */
import type { Project, Task } from "../../api/client";
import { fetchReady, type Images, type Ready } from "./sheet";

export interface Larder {
  /** A task's tile: fetched once, at the first call. */
  take(task: Task, project: Project): Promise<Ready>;
  /** Throw away all tiles but those of these tasks. */
  keepOnly(tasks: readonly Task[]): void;
}

/** Tiles for the person `me`. */
export function makeLarder(images: Images, me: string): Larder {
  const tiles = new Map<string, Promise<Ready>>();
  return {
    take(task, project) {
      const known = tiles.get(task.id);
      if (known) return known;
      const fetched = fetchReady(task, project, images, me);
      tiles.set(task.id, fetched);
      // what failed may be asked again
      fetched.catch(() => tiles.delete(task.id));
      return fetched;
    },
    keepOnly(tasks) {
      for (const id of tiles.keys()) {
        if (!tasks.some((task) => task.id === id)) tiles.delete(id);
      }
    },
  };
}
