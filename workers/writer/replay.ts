import { limits } from "../../contract/limits.ts";
import { type DeadLetter, readReplays, recordReplays } from "./dead-letter.ts";

export interface ReplayDeps {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly now: () => Date;
  readonly pause: (ms: number) => Promise<void>;
  readonly say: (line: string) => void;
}

export interface ReplayOptions {
  readonly directory: string;
  /** Of the service. */
  readonly url: string;
  readonly key: string | null;
  /** Send, too, what an earlier replay may have sent longer ago than the service remembers. */
  readonly force: boolean;
}

export interface ReplayResult {
  /** Accepted: durable with the service, and no letter any more. */
  readonly replayed: number;
  /** The service will not take them as they are. */
  readonly refused: number;
  /** Not tried, or not answered. */
  readonly left: number;
}

/** Times that one event is sent before the replay ends; the service may be restarting, or full. */
const attemptsMax = 8;
const pauseMs = 500;
const answerTimeoutMs = 30_000;
/** Well before the service forgets the key. */
const safeAgeMs = limits.idempotencyKeyAgeMs - 5 * 60_000;

type Outcome =
  | { readonly kind: "accepted" | "unanswered" }
  | { readonly kind: "refused" | "fatal"; readonly why: string };

/**
 * Sends events that were dead-lettered to the service again. That it has begun is recorded before the first byte is sent,
 * that it is done after the answer: a replay that was cut off in between is repeated under the same Idempotency-Key.
 */
export async function replayLetters(
  deps: ReplayDeps,
  options: ReplayOptions,
  letters: readonly DeadLetter[],
): Promise<ReplayResult> {
  const begun = new Map(readReplays(options.directory).map((replay) => [replay.id, replay]));
  let replayed = 0;
  let refused = 0;
  for (const [index, letter] of letters.entries()) {
    const earlier = begun.get(letter.id);
    if (earlier?.state === "done") continue;
    if (earlier && !options.force && deps.now().getTime() - Date.parse(earlier.at) > safeAgeMs) {
      deps.say(
        `${letter.id}: a replay at ${earlier.at} was cut off and may have been accepted, which the service does not ` +
          "remember any more: look for the event, then replay it with --force if it is not there\n",
      );
      refused++;
      continue;
    }
    // The first attempt's time stands: the service counts from there.
    if (!earlier || options.force) record(deps, options, letter, "begun");
    const outcome = await sendUntilHeard(deps, options, letter);
    if (outcome.kind === "accepted") {
      record(deps, options, letter, "done");
      replayed++;
    } else if (outcome.kind === "refused") {
      deps.say(`${letter.id}: refused: ${outcome.why}\n`);
      refused++;
    } else {
      deps.say(
        `${letter.id}: ${outcome.kind === "fatal" ? outcome.why : `no answer from ${options.url}`}; stopping here\n`,
      );
      return { replayed, refused, left: letters.length - index };
    }
  }
  return { replayed, refused, left: 0 };
}

function record(deps: ReplayDeps, options: ReplayOptions, letter: DeadLetter, state: "begun" | "done"): void {
  recordReplays(options.directory, [{ id: letter.id, at: deps.now().toISOString(), state }]);
}

async function sendUntilHeard(deps: ReplayDeps, options: ReplayOptions, letter: DeadLetter): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    const answer = await send(deps, options, letter);
    if (answer !== "again" || attempt === attemptsMax) return answer === "again" ? { kind: "unanswered" } : answer;
    await deps.pause(pauseMs * attempt);
  }
}

async function send(deps: ReplayDeps, options: ReplayOptions, letter: DeadLetter): Promise<Outcome | "again"> {
  // `received_at` is the service's to say.
  const { received_at: _, ...event } = letter.event;
  let response: Response;
  let text: string;
  try {
    response = await deps.fetch(`${options.url}/ingest`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Idempotency-Key": letter.id,
        ...(options.key === null ? {} : { Authorization: `Bearer ${options.key}` }),
      },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    text = await response.text();
  } catch (error) {
    if (error instanceof Error) return "again";
    throw error;
  }
  const { status } = response;
  if (status === 202 || status === 200) return { kind: "accepted" };
  if (status === 503 || status === 429 || status === 408) return "again";
  const why = `${status} ${text.slice(0, 500)}`;
  // What is wrong with this event (too old, say) is not wrong with the next; a wrong key, or address, is.
  return { kind: status === 422 || status === 413 ? "refused" : "fatal", why };
}
