import { gzipSync } from "node:zlib";
import type { Event } from "../../contract/event.ts";
import type { Ledger, SentEvent, SentRequest } from "./ledger.ts";
import type { Random } from "./random.ts";

export interface LoadOptions {
  readonly url: string;
  /** Starts every id; never the same for two loads of one service. */
  readonly prefix: string;
  readonly requests: number;
  readonly overMs: number;
  /** Share of requests that carry an event that ClickHouse refuses. */
  readonly poisonShare: number;
}

const eventTypes = ["temperature", "humidity", "pressure", "vibration", "door", "état 😀", "a\"b\\c'd"];
const answerTimeoutMs = 8_000;
const keyedRetryMs = 60;
const keyedDeadlineMs = 45_000;
const dayMs = 86_400_000;
export const poisonValue = 666;

/** Sends requests of every shape over a span of time, and writes down what was heard. */
export async function runLoad(ledger: Ledger, random: Random, options: LoadOptions): Promise<void> {
  const sending: Promise<void>[] = [];
  const startedMs = performance.now();
  for (let n = 0; n < options.requests; n++) {
    const dueMs = (n / options.requests) * options.overMs * (0.8 + 0.4 * random.next());
    const request = createRequest(random, `${options.prefix}-${n}`, options.poisonShare);
    const own = random.fork();
    sending.push(
      Bun.sleep(Math.max(0, startedMs + dueMs - performance.now())).then(() => {
        ledger.add(request);
        return request.key === null ? sendOnce(request, own, options.url) : sendUntilHeard(request, own, options.url);
      }),
    );
  }
  await Promise.all(sending);
}

function createRequest(random: Random, prefix: string, poisonShare: number): SentRequest {
  const size = random.chance(0.6) ? 1 : random.chance(0.8) ? random.integer(2, 60) : random.integer(60, 250);
  const poisoned = random.chance(poisonShare) ? random.integer(0, size - 1) : -1;
  const events = Array.from({ length: size }, (_, n) => createEvent(random, `${prefix}-${n}`, n === poisoned));
  return { events, key: random.chance(0.3) ? `key-${prefix}` : null, outcome: "unheard" };
}

function createEvent(random: Random, id: string, poison: boolean): SentEvent {
  const named = random.chance(0.8);
  const old = random.chance(0.08);
  const event: Event = {
    device_id: named ? `device-${random.integer(1, 40)}` : id,
    event_type: random.pick(eventTypes),
  };
  if (named) event.metadata = { id, site: `s${random.integer(1, 5)}`, note: random.chance(0.1) ? "ünïcødé\n\t\0" : "" };
  // Quarters: their sums are exact in a double, in any order.
  if (poison) event.value_float = poisonValue;
  else if (random.chance(0.8)) event.value_float = random.integer(-4000, 2500) / 4;
  else if (random.chance(0.3)) event.value_float = null;
  if (random.chance(0.1)) event.value_string = "v".repeat(random.integer(0, 600));
  const nowMs = Date.now();
  if (old) event.timestamp = nowMs - random.integer(2 * dayMs, 6 * dayMs);
  else if (random.chance(0.3)) {
    const atMs = nowMs - random.integer(0, 20_000);
    event.timestamp = random.chance(0.5) ? atMs : new Date(atMs).toISOString();
  }
  return { id, event, poison, old };
}

/** The same request always gives the same bytes. */
function encodeBody(
  request: SentRequest,
  random: Random,
): { body: string | Uint8Array<ArrayBuffer>; headers: Headers } {
  const headers = new Headers({ "Content-Type": "application/json" });
  const events = request.events.map(({ event }) => event);
  let text: string;
  const shape = random.next();
  if (shape < 0.2) {
    headers.set("Content-Type", "application/x-ndjson");
    text = events.map((event) => JSON.stringify(event)).join("\n");
  } else if (shape < 0.4) text = JSON.stringify(events);
  else if (events.length === 1 && shape < 0.8) text = JSON.stringify(events[0]);
  else text = JSON.stringify({ events });
  if (request.key !== null) headers.set("Idempotency-Key", request.key);
  if (!random.chance(0.25)) return { body: text, headers };
  headers.set("Content-Encoding", "gzip");
  return { body: gzipSync(text), headers };
}

type Heard = "acknowledged" | "refused" | "unheard";

async function post(
  url: string,
  { body, headers }: ReturnType<typeof encodeBody>,
  hangUpMs: number | null,
): Promise<Heard> {
  try {
    const response = await fetch(`${url}/ingest`, {
      method: "POST",
      body,
      headers,
      signal: AbortSignal.timeout(hangUpMs ?? answerTimeoutMs),
      // A connection of its own: a client that quietly sends a request again would spoil the record.
      keepalive: false,
    });
    const text = await response.text();
    if (response.status === 202 || response.status === 200) return "acknowledged";
    if (response.status === 503 || response.status === 429) return "refused";
    throw new UnexpectedAnswer(`${response.status} ${text.slice(0, 300)}`);
  } catch (error) {
    if (error instanceof UnexpectedAnswer) throw error;
    return "unheard";
  }
}

export class UnexpectedAnswer extends Error {}

async function sendOnce(request: SentRequest, random: Random, url: string): Promise<void> {
  request.outcome = await post(url, encodeBody(request, random), random.chance(0.03) ? random.integer(1, 8) : null);
}

/** As a device does that has not heard: the same again, until it has; sometimes once more although it has. */
async function sendUntilHeard(request: SentRequest, random: Random, url: string): Promise<void> {
  const encoded = encodeBody(request, random);
  const deadline = performance.now() + keyedDeadlineMs;
  let hangUp = random.chance(0.25);
  for (;;) {
    const heard = await post(url, encoded, hangUp ? random.integer(1, 10) : null);
    hangUp = false;
    if (heard === "acknowledged") break;
    if (performance.now() > deadline) throw new Error(`${request.key}: no 202 within ${keyedDeadlineMs} ms`);
    await Bun.sleep(keyedRetryMs * (0.5 + random.next()));
  }
  request.outcome = "acknowledged";
  // The answer is known by now, so whatever comes of this one changes nothing.
  if (random.chance(0.3)) await post(url, encoded, null);
}
