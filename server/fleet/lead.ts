import { connectRedis, defineScript, RedisAwayError, RedisRefusedError } from "../../workers/redis/connection.ts";
import { keyPrefix } from "../../workers/redis/scripts.ts";

const commandTimeoutMs = 1_000;
const reconnectDelayMs = 500;
const leaseMs = 6_000;
const renewMs = 2_000;
/** By then another instance may lead; this one stops before. */
const heldMs = 5_000;

/** key, instance, ms → "ours" or "theirs". */
const takeLead = defineScript(`
local held = redis.call('GET', ARGV[1])
if held and held ~= ARGV[2] then return 'theirs' end
redis.call('SET', ARGV[1], ARGV[2], 'PX', ARGV[3])
return 'ours'`);

/** Which of several instances writes down what happens to devices: whoever has the lease in Redis. */
export interface Lead {
  leads(): boolean;
  stop(): void;
}

/**
 * All instances come to the same changes, since they judge by the same rows; one writing is enough. When it dies, another
 * has the lease in seconds. A change that falls between two leaders is found out again at the next start of a service.
 */
export function createLead(options: { readonly url: string; readonly instance: string }): Lead {
  let renewedMs = Number.NEGATIVE_INFINITY;
  const redis = connectRedis({
    url: options.url,
    commandTimeoutMs,
    reconnectDelayMs,
    onUp: () => void renew(),
    // The journal's own connection says that Redis is away.
    onDown: () => undefined,
  });

  async function renew(): Promise<void> {
    const askedMs = performance.now();
    try {
      const outcome = await redis.script(takeLead, [`${keyPrefix}fleet-lead`, options.instance, String(leaseMs)]);
      renewedMs = outcome === "ours" ? askedMs : Number.NEGATIVE_INFINITY;
    } catch (error) {
      if (!(error instanceof RedisAwayError || error instanceof RedisRefusedError)) throw error;
    }
  }

  const timer = setInterval(() => void renew(), renewMs);
  return {
    leads: () => performance.now() - renewedMs < heldMs,
    stop() {
      clearInterval(timer);
      redis.close();
    },
  };
}
