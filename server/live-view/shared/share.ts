import type { Log } from "../../../base/log.ts";
import { connectRedis, RedisAwayError, RedisRefusedError } from "../../../workers/redis/connection.ts";
import { keyPrefix, releaseKey, reserveKey } from "../../../workers/redis/scripts.ts";
import type { Cells } from "../cells.ts";
import { covers, type Epoch, type ShardEpochs } from "../epoch.ts";
import { decodePartial, encodePartial, SharedEpoch, type SharedPartial } from "./named-cells.ts";

/** Partials of all instances; a greeting asks everyone for all of theirs. */
const partialsChannel = `${keyPrefix}partials`;
const helloChannel = `${keyPrefix}hello`;
const commandTimeoutMs = 1_000;
const reconnectDelayMs = 100;
/** What is sent in a second is bounded: large partials go out less often. */
const bytesPerSecond = 4 * 2 ** 20;
/** Epochs kept for those who come later; past it the oldest show once they are stored. */
const epochsMax = 256;
/** A request with a key that another instance has under way is answered within this, or asked to come back. */
const keyWaitMs = 3_000;
const keyPollMs = 20;
/**
 * An instance that dies with a request under way keeps its key from the others for so long. A request that takes longer
 * is refused by its append if another instance has the key by then, so this is a matter of waiting, not of truth.
 */
const keyReservationMs = 5_000;
/** Keys to give back when Redis is there again; past it they expire. */
const unreleasedMax = 10_000;

export interface ShareOptions {
  readonly url: string;
  readonly instance: string;
}

export interface ShareDeps {
  readonly now: () => number;
  readonly log: Log;
  readonly nameOf: (type: number) => string;
  readonly onForeign: (instance: string, partial: SharedPartial) => void;
}

export type KeyReservation =
  | { readonly kind: "ours" }
  | { readonly kind: "answered"; readonly answer: string }
  | { readonly kind: "busy" }
  | { readonly kind: "away" };

/** What instances tell each other besides the journal: pending partials by Pub/Sub, and who has an idempotency key. */
export interface Share {
  /** These cells became pending here. */
  pending(shard: number, epoch: Epoch, cells: Cells): void;
  /** Epochs up to these are stored: nobody needs to hear of them any more. */
  stored(lastEpochs: ShardEpochs): void;
  /** Sends what has changed. */
  tick(): void;
  reserveKey(key: string): Promise<KeyReservation>;
  releaseKey(key: string): void;
  stop(): void;
}

/**
 * A partial is sent as all that this instance has of one (shard, epoch), never as what was added: a message that is lost
 * or comes twice changes nothing for long. It is published only once its events are durable, so when an instance dies,
 * what others show of it is still true: whoever has the lease stores it, and then it is dropped like any other.
 */
export function createShare(deps: ShareDeps, options: ShareOptions): Share {
  const { log } = deps;
  const epochs = new Map<string, { shard: number; epoch: Epoch; collected: SharedEpoch; changed: boolean }>();
  let nextSendMs = 0;
  /** Of requests that were refused while Redis was away: whoever asks another instance next would wait for nothing. */
  const unreleased = new Set<string>();
  const announce = (what: string) => (reason: string) => log("warn", `${what} is interrupted`, { error: reason });
  const publisher = connectRedis({
    url: options.url,
    commandTimeoutMs,
    reconnectDelayMs,
    onUp() {
      resendAll();
      greet();
      const keys = [...unreleased];
      unreleased.clear();
      for (const key of keys) release(key);
    },
    onDown: announce("sharing of partials"),
  });
  const subscriber = connectRedis({
    url: options.url,
    commandTimeoutMs,
    reconnectDelayMs,
    onUp: () => greet(),
    onDown: announce("hearing of other instances"),
  });
  subscriber.subscribe([partialsChannel, helloChannel], (channel, message) => {
    const split = message.indexOf(" ");
    const from = split < 0 ? message : message.slice(0, split);
    if (from === options.instance) return;
    if (channel === helloChannel) return resendAll();
    try {
      deps.onForeign(from, decodePartial(Buffer.from(message.slice(split + 1), "base64")));
    } catch (error) {
      log("warn", "a partial of another instance was not understood", { from, error: String(error) });
    }
  });

  /** Whatever was missed while nobody listened is asked for, as soon as answers would be heard. */
  function greet(): void {
    if (publisher.up && subscriber.up) void publish(helloChannel, options.instance);
  }

  function resendAll(): void {
    for (const each of epochs.values()) each.changed = true;
  }

  function release(key: string): void {
    publisher.script(releaseKey, [key, options.instance]).catch((error: unknown) => {
      if (error instanceof RedisAwayError && unreleased.size < unreleasedMax) unreleased.add(key);
      else log("debug", "a key stays reserved until it expires", { error: String(error) });
    });
  }

  async function publish(channel: string, message: string): Promise<boolean> {
    try {
      await publisher.call("PUBLISH", [channel, message]);
      return true;
    } catch (error) {
      if (error instanceof RedisAwayError || error instanceof RedisRefusedError) return false;
      throw error;
    }
  }

  return {
    pending(shard, epoch, cells) {
      const key = `${shard} ${epoch}`;
      let known = epochs.get(key);
      if (known === undefined) {
        known = { shard, epoch, collected: new SharedEpoch(), changed: false };
        epochs.set(key, known);
        if (epochs.size > epochsMax) {
          const [oldest] = epochs.keys();
          if (oldest !== undefined) epochs.delete(oldest);
        }
      }
      known.collected.add(cells, deps.nameOf);
      known.changed = true;
    },
    stored(lastEpochs) {
      for (const [key, { shard, epoch }] of epochs) if (covers(lastEpochs[shard], epoch)) epochs.delete(key);
    },
    tick() {
      const now = deps.now();
      if (!publisher.up || now < nextSendMs) return;
      let bytes = 0;
      for (const each of epochs.values()) {
        const { cells } = each.collected;
        if (!each.changed || cells === null) continue;
        each.changed = false;
        const text = Buffer.from(encodePartial(each.shard, each.epoch, cells, each.collected.names)).toString("base64");
        bytes += text.length;
        void publish(partialsChannel, `${options.instance} ${text}`).then((sent) => {
          if (!sent) each.changed = true;
        });
      }
      nextSendMs = now + (bytes / bytesPerSecond) * 1000;
    },
    async reserveKey(key) {
      // It is asked for again here.
      unreleased.delete(key);
      const deadline = performance.now() + keyWaitMs;
      for (;;) {
        let text: string;
        try {
          text = String(await publisher.script(reserveKey, [key, options.instance, String(keyReservationMs)]));
        } catch (error) {
          if (!(error instanceof RedisAwayError || error instanceof RedisRefusedError)) throw error;
          // It may be reserved all the same.
          release(key);
          return { kind: "away" };
        }
        if (text === "ours") return { kind: "ours" };
        if (text.startsWith("a")) return { kind: "answered", answer: text.slice(1) };
        if (performance.now() > deadline) return { kind: "busy" };
        await Bun.sleep(keyPollMs);
      }
    },
    releaseKey: release,
    stop() {
      publisher.close();
      subscriber.close();
    },
  };
}
