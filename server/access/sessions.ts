import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";
import { writeFileAtomically } from "../../base/atomic-file.ts";

/** What a cookie says, once its signature holds. */
interface Claim {
  readonly id: string;
  readonly viewer: string;
  /** Of the key that was used to sign in; a changed key ends its sessions. */
  readonly fingerprint: string;
  readonly expiresMs: number;
}

const KeptSessions = Type.Object({
  signing: Type.String(),
  fingerprint: Type.String(),
  /** Ids of sessions that were signed out before they expired, with their expiry. */
  ended: Type.Array(Type.Tuple([Type.String(), Type.Number()])),
});
type KeptSessions = Static<typeof KeptSessions>;
const keptSessions = Compile(KeptSessions);

const keyBytes = 32;
/** Past it, a new signing key ends all sessions at once: nobody who signed out is ever signed in again. */
const endedMax = 10_000;
const tokenMaxCharacters = 512;

export interface Sessions {
  /** Key for fingerprints of viewer keys. */
  readonly fingerprintKey: Uint8Array;
  readonly lifetimeMs: number;
  issue(viewer: string, fingerprint: string): string;
  verify(token: string): Claim | undefined;
  /** The token works no more, however often it was copied. */
  end(claim: Claim): void;
}

/**
 * Signed, expiring sessions that need no table: what a token says is in it. Its signing key is in `directory`, readable by the
 * service alone, so that sessions outlive a restart.
 */
export function openSessions(
  deps: { readonly now: () => number; readonly onUnsaved?: (error: unknown) => void },
  options: { readonly directory: string; readonly lifetimeMs: number },
): Sessions {
  const file = join(options.directory, "sessions.json");
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const found = readKept(file);
  const kept = found ?? newKeys();
  let signing = Buffer.from(kept.signing, "base64");
  const ended = new Map(kept.ended.filter(([, expiresMs]) => expiresMs > deps.now()));
  const fingerprintKey = Buffer.from(kept.fingerprint, "base64");
  // Only what is new: a full disk must not keep a service from starting.
  if (found === null) trySave();

  /** Without the file everybody signs in again after the next restart; nothing else depends on it. */
  function trySave(): void {
    try {
      save();
    } catch (error) {
      deps.onUnsaved?.(error);
    }
  }

  function save(): void {
    const next: KeptSessions = {
      signing: signing.toString("base64"),
      fingerprint: kept.fingerprint,
      ended: [...ended],
    };
    writeFileAtomically(file, JSON.stringify(next), 0o600);
  }

  const sign = (payload: string): Buffer => createHmac("sha256", signing).update(payload).digest();

  return {
    fingerprintKey,
    lifetimeMs: options.lifetimeMs,
    issue(viewer, fingerprint) {
      const expiresMs = deps.now() + options.lifetimeMs;
      const claim: Claim = { id: randomBytes(12).toString("base64url"), viewer, fingerprint, expiresMs };
      const payload = Buffer.from(JSON.stringify(claim)).toString("base64url");
      return `${payload}.${sign(payload).toString("base64url")}`;
    },
    verify(token) {
      if (token.length > tokenMaxCharacters) return undefined;
      const [payload, signature, more] = token.split(".");
      if (!payload || !signature || more !== undefined) return undefined;
      const given = Buffer.from(signature, "base64url");
      const right = sign(payload);
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
      // Signed by us, so it is a claim as `issue` wrote it.
      const claim = JSON.parse(Buffer.from(payload, "base64url").toString()) as Claim;
      return claim.expiresMs > deps.now() && !ended.has(claim.id) ? claim : undefined;
    },
    end(claim) {
      for (const [id, expiresMs] of ended) if (expiresMs <= deps.now()) ended.delete(id);
      if (ended.size >= endedMax) {
        signing = randomBytes(keyBytes);
        ended.clear();
      } else {
        ended.set(claim.id, claim.expiresMs);
      }
      save();
    },
  };
}

/** Null when it is missing or damaged: new keys then, and everybody signs in again. */
function readKept(file: string): KeptSessions | null {
  try {
    const kept: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (keptSessions.Check(kept)) {
      chmodSync(file, 0o600);
      return kept;
    }
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!missing && !(error instanceof SyntaxError)) throw error;
  }
  return null;
}

function newKeys(): KeptSessions {
  const key = (): string => randomBytes(keyBytes).toString("base64");
  return { signing: key(), fingerprint: key(), ended: [] };
}
