/** Keeping a review while one works on it. */
import { useEffect } from "preact/hooks";
import { startActive } from "../annotator/flow/active";
import { keepLeases } from "../annotator/flow/lease";
import type { Task } from "../api/client";
import { complain } from "../shell/toasts";

/** Renew a review's lease as an annotator's is: as long as the person does something. */
export function useLease(task: Task | undefined, lease = 0): void {
  useEffect(() => {
    if (!task) return;
    let held = [task.id];
    const clock = startActive(0);
    const heartbeat = keepLeases({
      held: () => held,
      idle: clock.idle,
      lapsed() {
        held = [];
        complain("Your lease on this review has ended: somebody else may be given it.");
      },
    });
    heartbeat.beat(lease);
    return () => {
      heartbeat.stop();
      clock.stop();
    };
  }, [task?.id]);
}
