import type { Outgoing } from "../notify/bodies.ts";
import { type Attempt, Courier } from "../notify/courier.ts";
import type { Message } from "../notify/notifier.ts";
import type { ChannelHealth, ChannelRecord, DeliveryState, MessageContent, OutboxRecord } from "../state/records.ts";
import type { ChangeMaker } from "../state/repository.ts";
import type { RowChange } from "../state/rows.ts";

export interface PostOfficeDeps {
  readonly make: ChangeMaker;
  readonly channels: ReadonlyMap<string, ChannelRecord>;
  /** Reads a message that waits. */
  readonly content: (id: string) => MessageContent | undefined;
  readonly send: (outgoing: Outgoing) => Promise<Attempt>;
  /** Writes rows; durable when it returns. */
  readonly commit: (changes: readonly RowChange[]) => void;
  readonly now: () => number;
  readonly random: () => number;
}

/** The outbox: a courier a channel, and what waits for each. */
export class PostOffice {
  readonly #deps: PostOfficeDeps;
  readonly #couriers = new Map<string, Courier>();
  #nextSequence: number;
  #stopped = false;

  constructor(deps: PostOfficeDeps, kept: readonly OutboxRecord[]) {
    this.#deps = deps;
    this.#nextSequence = Math.max(0, ...kept.map(({ sequence }) => sequence)) + 1;
    const waiting = Map.groupBy(kept, ({ channelId }) => channelId);
    for (const [channelId, records] of waiting) {
      if (!deps.channels.has(channelId)) continue;
      const list = records.map(({ id, sequence, content, delivery }) => ({
        id,
        sequence,
        createdMs: content.createdMs,
        delivery,
      }));
      this.#couriers.set(channelId, this.#courier(channelId, list));
    }
  }

  /** Rows for the transaction in which the messages are decided, and what to do once it is durable. */
  post(messages: readonly Message[], nowMs: number): { changes: RowChange[]; dispatch: () => void } {
    const delivery: DeliveryState = { attempts: 0, nextMs: nowMs, refused: false };
    const records = messages.map(({ id, channelId, content }) => ({
      id,
      channelId,
      sequence: this.#nextSequence++,
      content,
      delivery,
    }));
    return {
      changes: records.map((record) => this.#deps.make.outbox(record)),
      dispatch: () => {
        if (this.#stopped) return;
        for (const { id, channelId, sequence, content } of records)
          this.#of(channelId).add({ id, sequence, createdMs: content.createdMs, delivery });
      },
    };
  }

  waiting(channelId: string): number {
    return this.#couriers.get(channelId)?.waiting ?? 0;
  }

  nextAttemptMs(channelId: string): number | null {
    return this.#couriers.get(channelId)?.nextAttemptMs ?? null;
  }

  wake(channelId: string): void {
    this.#couriers.get(channelId)?.wake();
  }

  async forget(channelId: string): Promise<void> {
    const courier = this.#couriers.get(channelId);
    this.#couriers.delete(channelId);
    await courier?.stop();
  }

  /** What is under way is ended or left to the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#couriers.values()].map((courier) => courier.stop()));
  }

  #of(channelId: string): Courier {
    let courier = this.#couriers.get(channelId);
    if (courier === undefined) {
      courier = this.#courier(channelId, []);
      this.#couriers.set(channelId, courier);
    }
    return courier;
  }

  #courier(channelId: string, waiting: ConstructorParameters<typeof Courier>[1]): Courier {
    const { channels, content, send, now, random } = this.#deps;
    return new Courier(
      {
        channel: () => channels.get(channelId),
        content,
        send,
        settle: (id, delivery, health) => this.#settle(channelId, id, delivery, health),
        now,
        random,
        setTimer: (run, delayMs) => setTimeout(run, delayMs),
        clearTimer: (timer) => clearTimeout(timer as Timer),
      },
      waiting,
    );
  }

  #settle(channelId: string, id: string, delivery: DeliveryState | null, health: ChannelHealth): void {
    const { channels, make, commit } = this.#deps;
    const record = channels.get(channelId);
    const changes: RowChange[] = record === undefined ? [] : [make.channel({ ...record, health })];
    if (delivery === null) changes.push({ table: "alert_outbox", remove: { id } });
    else changes.push({ table: "alert_outbox", update: { delivery: JSON.stringify(delivery) }, where: { id } });
    commit(changes);
  }
}
