import type { Event } from "../../contract/event.ts";

/**
 * - acknowledged: its 202 was heard. It has to be stored once.
 * - refused: an answer said that nothing was accepted. It must not be stored.
 * - unheard: the connection ended without an answer. Stored whole, once, or not at all.
 */
export type Outcome = "acknowledged" | "refused" | "unheard";

export interface SentEvent {
  readonly id: string;
  readonly event: Event;
  /** ClickHouse refuses it (see `rig.ts`): it has to end as a dead letter instead. */
  readonly poison: boolean;
  /** Outside the live window. */
  readonly old: boolean;
}

export interface SentRequest {
  readonly events: readonly SentEvent[];
  readonly key: string | null;
  outcome: Outcome;
}

/** Everything that was ever sent to one service, and what was heard of it. */
export class Ledger {
  readonly requests: SentRequest[] = [];
  readonly #events = new Map<string, { sent: SentEvent; request: SentRequest }>();

  add(request: SentRequest): void {
    this.requests.push(request);
    for (const sent of request.events) this.#events.set(sent.id, { sent, request });
  }

  find(id: string): { sent: SentEvent; request: SentRequest } | undefined {
    return this.#events.get(id);
  }

  count(outcome: Outcome): number {
    return this.requests.reduce((sum, each) => sum + (each.outcome === outcome ? each.events.length : 0), 0);
  }
}

/** The id of an event travels in its metadata, or, where it has none, in its device. */
export const idExpression = "if(mapContains(metadata, 'id'), metadata['id'], device_id)";
export const idOf = (event: { device_id: string; metadata: Readonly<Record<string, string>> }): string =>
  event.metadata.id ?? event.device_id;
