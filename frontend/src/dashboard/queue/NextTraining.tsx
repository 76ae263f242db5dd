/** When the network learns again: now, after so many tiles, or at a time. */
import type { Schemas } from "../../api/client";

/** One sentence per policy. */
export function NextTraining({ queue, slug }: { queue: Schemas["QueueView"]; slug: string }) {
  if (queue.training_job_id) {
    return (
      <p>
        A training is under way. <a href={`/projects/${slug}/training?job=${queue.training_job_id}`}>Watch it</a>
      </p>
    );
  }
  if (queue.next_trainings.length === 0) {
    return (
      <p class="quiet">
        Nothing trains by itself. <a href={`/projects/${slug}/policies`}>Make a policy</a>
      </p>
    );
  }
  return (
    <ul>
      {queue.next_trainings.map((next) => (
        <li key={next.policy_id}>
          {next.name}: {sentence(next, queue.time_zone)}
        </li>
      ))}
    </ul>
  );
}

function sentence(next: Schemas["ForecastView"], zone: string): string {
  const parts = [];
  if (next.annotations_left === 0) parts.push("due now");
  else if (next.annotations_left !== null) parts.push(`after ${next.annotations_left} more accepted tiles`);
  if (next.at !== null) {
    parts.push(`at ${new Date(next.at).toLocaleString(undefined, { timeZone: zone })} (${zone})`);
  }
  const held = next.put_off ? "; held back by quiet hours, the least interval or a training" : "";
  return `${parts.join(", or ")}${held}`;
}
