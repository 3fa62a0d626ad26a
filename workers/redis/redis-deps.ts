import type { Log } from "../../base/log.ts";
import type { FromWriter } from "../protocol.ts";
import type { RingConsumer } from "../ring/ring.ts";
import type { Lifecycle } from "../writer/lifecycle.ts";
import { type RedisConnection, RedisRefusedError, type RedisScript } from "./connection.ts";

/** What the writer over Redis is given. */
export interface RedisWriterDeps {
  readonly ring: RingConsumer;
  readonly now: () => number;
  readonly post: (message: FromWriter, transfer?: Transferable[]) => void;
  readonly log: Log;
  readonly randomId: () => string;
}

/** What each of its parts is given as well. */
export interface RedisPartDeps extends RedisWriterDeps {
  readonly redis: RedisConnection;
  readonly lifecycle: Lifecycle;
  /** This process, and never another one. */
  readonly instance: string;
}

/** The journal that Redis holds, from when it has answered. */
export interface SharedJournal {
  readonly id: string;
  readonly shards: number;
}

/** The script's answer; null when Redis is away, or refuses, which is logged. */
export async function tryScript(
  { redis, log }: Pick<RedisPartDeps, "redis" | "log">,
  script: RedisScript,
  args: readonly (string | number)[],
): Promise<string | null> {
  try {
    return String(await redis.script(script, args.map(String)));
  } catch (error) {
    if (error instanceof RedisRefusedError) log("error", "Redis refused", { error: error.message });
    return null;
  }
}
