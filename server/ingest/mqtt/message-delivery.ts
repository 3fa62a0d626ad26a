import type { EventError } from "../../../contract/ingest.ts";
import { limits } from "../../../contract/limits.ts";
import { Refusal } from "../../http/refusal.ts";
import type { Delivery, Rejects, Staged } from "../format.ts";
import type { Staging } from "../staging.ts";
import { isEvent, schemaFaults } from "../validate.ts";
import { readPayload } from "./payload.ts";
import type { TopicMatch } from "./topic-template.ts";

/** One message; it is taken or refused as a whole. */
export class MessageDelivery implements Delivery {
  readonly protocol = "mqtt";
  readonly #topic: TopicMatch;

  constructor(topic: TopicMatch) {
    this.#topic = topic;
  }

  stage(body: Uint8Array, staging: Staging): Rejects | Refusal {
    const read = readPayload(body, this.#topic);
    if (!read.ok) return new Refusal("malformed_request", read.reason);
    const { events } = read;
    if (events.length > staging.maxEvents) {
      return new Refusal("too_many_events", `${events.length} events in one message (MAX_EVENTS_PER_REQUEST)`);
    }
    const rejected: EventError[] = [];
    let rejectedCount = 0;
    for (const [index, event] of events.entries()) {
      const fault = isEvent(event) ? staging.add(event) : schemaFaults(event)[0];
      if (fault === undefined) continue;
      rejectedCount++;
      if (rejected.length < limits.errorDetails) rejected.push({ index, ...fault });
    }
    return { rejected, rejectedCount };
  }

  conclude({ rowCount, rejected: [first], rejectedCount }: Staged): string | Refusal {
    if (first === undefined) return "";
    const count = rowCount + rejectedCount;
    const which = count === 1 ? "" : `${rejectedCount} of ${count} events are invalid; the first is ${first.index}: `;
    return new Refusal("invalid_events", `${which}${first.path.slice(1)} ${first.message}`);
  }
}
