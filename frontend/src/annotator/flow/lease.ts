/** The claim on tiles: taking them, and keeping them while the person works. */
import { api, type Schemas, Problem, type Task } from "../../api/client";

/** What a claim gave. */
export interface Claim {
  readonly tasks: readonly Task[];
  /** Why the queue gave fewer than two. */
  readonly why: string | null;
  /** Seconds until the first lease ends. */
  readonly lease: number;
}

/** Claim the tile to paint and the next; of reviews one. */
export async function claim(slug: string, kind: Task["kind"]): Promise<Claim> {
  const { data, response } = await api.POST("/api/v1/projects/{project}/claims", {
    params: { path: { project: slug } },
    body: { kind, count: kind === "annotate" ? 2 : 1 },
  });
  const { tasks, why_fewer } = data as Schemas["ClaimView"];
  const lease = Math.min(...tasks.map((task) => secondsLeft(task, response)));
  return { tasks, why: why_fewer, lease };
}

/** Seconds until a lease ends, by the server's clock. */
function secondsLeft(task: Task, response: Response): number {
  const now = Date.parse(response.headers.get("Date") ?? "") || Date.now();
  return task.lease_until === null ? 0 : (Date.parse(task.lease_until) - now) / 1000;
}

const LEAST_SECONDS = 3;

export interface Heartbeat {
  /** Take note of leases that end in so many seconds. */
  beat(lease: number): void;
  stop(): void;
}

/**
 * Renew the leases of `held` tasks every third of their length, as long as the person has done
 * something within a lease. `lapsed` is told of those that are lost.
 */
export function keepLeases(parts: {
  held: () => readonly string[];
  idle: () => number;
  lapsed: (task: string) => void;
}): Heartbeat {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let length = 0;
  let asleep = false;

  const wake = () => {
    if (!asleep) return;
    asleep = false;
    clearTimeout(timer);
    void renewAll();
  };

  function beat(lease: number): void {
    if (!Number.isFinite(lease)) return;
    clearTimeout(timer);
    length = Math.max(length, lease);
    timer = setTimeout(() => void renewAll(), Math.max(LEAST_SECONDS, lease / 3) * 1000);
  }

  async function renewAll(): Promise<void> {
    let next = length;
    // who has left must not keep the tile from others
    asleep = parts.idle() >= length;
    if (!asleep) {
      for (const task of parts.held()) {
        try {
          const { data, response } = await api.POST("/api/v1/tasks/{task}/renew", {
            params: { path: { task } },
          });
          next = Math.min(next, secondsLeft(data as Task, response));
        } catch (problem) {
          if (problem instanceof Problem && problem.status === 409) parts.lapsed(task);
          else next = Math.min(next, length / 3);
        }
      }
    }
    beat(next);
  }

  addEventListener("pointerdown", wake);
  addEventListener("keydown", wake);
  return {
    beat,
    stop() {
      clearTimeout(timer);
      asleep = false;
      removeEventListener("pointerdown", wake);
      removeEventListener("keydown", wake);
    },
  };
}
