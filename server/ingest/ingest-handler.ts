import type { ErrorCode } from "../../contract/error.ts";
import { limits } from "../../contract/limits.ts";
import type { Access, IngestPrincipal } from "../access/access.ts";
import { Refusal } from "../http/refusal.ts";
import type { Accepted, StoredWaiters } from "./acknowledgements.ts";
import type { IngestFormat, Reading } from "./format.ts";
import type { Once } from "./idempotency.ts";
import type { Intake, IntakeKey } from "./intake.ts";
import type { BodyReader } from "./request-body.ts";

export interface IngestHandlerDeps {
  readonly access: Pick<Access, "ingest">;
  readonly intake: Pick<Intake, "take" | "closed" | "counts">;
  readonly once: Once;
  readonly bodies: Pick<BodyReader, "read">;
  readonly storedWaiters: Pick<StoredWaiters, "wait">;
}

/** Access counts what it refuses itself. */
const countedByAccess: ReadonlySet<ErrorCode> = new Set(["unauthenticated", "forbidden", "rate_limited"]);

/** HTTP around `Intake.take`, for any format: first everything is decided, then a refusal is counted, then it is answered. */
export function createIngestHandler(deps: IngestHandlerDeps, format: IngestFormat) {
  const { access, intake, once, bodies, storedWaiters } = deps;

  async function receive(
    request: Request,
    reading: Reading,
    principal: IngestPrincipal,
    key: IntakeKey | null,
  ): Promise<Accepted | Refusal> {
    const body = await bodies.read(request);
    if (body instanceof Refusal) return body;
    if (key === null && reading.keyOf !== undefined) {
      const implied = reading.keyOf(body);
      if (implied !== null) return takeImplied(implied, reading, body, principal);
    }
    return intake.take(reading, body, principal, key);
  }

  /**
   * An implied key nobody asked for, so where no more can be remembered the events are taken without one. Refusing them would turn
   * a limit on repetitions into one on telemetry.
   */
  async function takeImplied(implied: string, reading: Reading, body: Uint8Array, principal: IngestPrincipal) {
    const outcome = await once(principal.name, implied, (own) => intake.take(reading, body, principal, own));
    if (!(outcome instanceof Refusal) || outcome.code !== "idempotency_full") return outcome;
    intake.counts.unprotected++;
    return intake.take(reading, body, principal, null);
  }

  async function decide(request: Request): Promise<Response | Refusal> {
    const closed = intake.closed();
    if (closed !== undefined) return closed;
    const principal = access.ingest(format.credential(request));
    if (principal instanceof Refusal) return principal;
    const reading = format.open(request);
    if (reading instanceof Refusal) return reading;
    const given = request.headers.get("idempotency-key");
    const outcome = await (given === null
      ? receive(request, reading, principal, null)
      : once(principal.name, given, (key) => receive(request, reading, principal, key)));
    if (outcome instanceof Refusal) return outcome;
    // A replay waits like the first request: what counts is whether the events are stored, not who sent them.
    const stored = reading.waitStored && (await storedWaiters.wait(outcome.epoch, limits.waitStoredMs));
    return reading.respond(outcome.answer, stored);
  }

  return async (request: Request): Promise<Response> => {
    const decided = await decide(request);
    if (!(decided instanceof Refusal)) return decided;
    if (!countedByAccess.has(decided.code)) intake.counts.refused(decided.code);
    return format.refuse(decided, request);
  };
}
