import type { Log } from "../../base/log.ts";
import { errorResponse } from "../http/errors.ts";
import { Refusal } from "../http/refusal.ts";
import { Attempts } from "./attempts.ts";
import { openKeySource } from "./key-source.ts";
import { fingerprint, type KeyEntry, KeyRing } from "./keys.ts";
import type { Sessions } from "./sessions.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Who may write and who may read. Routes ask; how keys are kept is this folder's business. */
export interface Access {
  /** May who presents this key post events? Each protocol has its own place for the key; null: there was none. */
  ingest(presented: string | null): IngestPrincipal | Refusal;
  /** May this request read? The viewer's name, for limits per viewer. */
  viewer(request: Request): Viewer | Response;
  /** May this request change alert rules, silences, channels, saved views? The editor's name, for the audit log. */
  editor(request: Request): Viewer | Response;
}

export interface IngestPrincipal {
  /** Name of the key; idempotency keys are its own. */
  readonly name: string;
  /** When set, every device id has to start with it. */
  readonly devicePrefix: string | null;
  /** Counts events against the key's rate; a refusal when they are too many. */
  takeEvents(count: number): Refusal | undefined;
}

export interface Viewer {
  readonly name: string;
  /** May change what people change. */
  readonly editor: boolean;
}

export type SignInResult =
  | { readonly ok: true; readonly viewer: string; readonly editor: boolean; readonly cookie: string }
  | { readonly ok: false; readonly response: Response };

export interface AccessRefusals {
  /** No key at all. */
  unauthenticated: number;
  /** A key that nobody has, or that is for something else. */
  forbidden: number;
  rateLimited: number;
  signInThrottled: number;
}

/** `Access`, and what the sign-in and the operator need. */
export interface AccessControl extends Access {
  readonly viewersNeeded: boolean;
  /** Somebody may sign in: there are viewer or editor keys. */
  readonly signInPossible: boolean;
  signIn(key: string, address: string): SignInResult;
  /** Ends the session of this request, if it has one; gives the cookie that removes it. */
  signOut(request: Request): string;
  readonly refusals: Readonly<AccessRefusals>;
  /** Reads the files of keys again. */
  reload(): void;
  stop(): void;
}

export interface AccessDeps {
  readonly log: Log;
  readonly sessions: Sessions;
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
}

export interface AccessOptions {
  /** `name:secret[:device-prefix]` separated by commas, or `@FILE`; empty: everybody may write. */
  readonly ingestKeys: string;
  /** `name:secret` separated by commas, or `@FILE`; empty: everybody may read. */
  readonly viewerKeys: string;
  /** `name:secret` separated by commas, or `@FILE`; empty: everybody may change things where everybody may read, else nobody. */
  readonly editorKeys: string;
  /** Events a second of each ingest key; without keys, of all together. Null: no limit. */
  readonly rateLimitEvents: number | null;
  /** The service is reached over TLS, so cookies are for TLS only. */
  readonly secure: boolean;
}

interface IngestKey extends IngestPrincipal {
  readonly bucket: TokenBucket | null;
}

interface ViewerKey extends Viewer {
  readonly fingerprint: string;
}

const bearer = /^bearer +/i;
const challenge = { "WWW-Authenticate": 'Bearer realm="sluice"' };
const ingestKeyNeeded = new Refusal(
  "unauthenticated",
  "an ingest key is needed: Authorization: Bearer, or X-API-Key",
  undefined,
  challenge,
);
const viewerKeyCannotWrite = new Refusal("forbidden", "a viewer key cannot write");
const unknownKey = new Refusal("forbidden", "this key is not known");

/**
 * Keys, scopes and sessions. Throws `ConfigError` when the keys are wrong.
 *
 * @example
 * const access = createAccess({ log, sessions, monotonicMs: () => performance.now() }, { ingestKeys: "fleet:…", … });
 * const principal = access.ingest(presentedKey(request.headers));
 * if (principal instanceof Refusal) return refusalResponse(principal);
 */
export function createAccess(deps: AccessDeps, options: AccessOptions): AccessControl {
  const { sessions } = deps;
  const ingestRing = new KeyRing<IngestKey>();
  const viewerRing = new KeyRing<ViewerKey>();
  const editorRing = new KeyRing<ViewerKey>();
  const attempts = new Attempts(deps.monotonicMs);
  const refusals: AccessRefusals = { unauthenticated: 0, forbidden: 0, rateLimited: 0, signInThrottled: 0 };
  // With TLS the prefix keeps other hosts of the domain from setting it.
  const cookieName = options.secure ? "__Host-sluice" : "sluice";
  const ingestNeeded = options.ingestKeys !== "";
  const viewersNeeded = options.viewerKeys !== "";
  const editorsNeeded = options.editorKeys !== "";
  const anyViewer: Viewer = { name: "", editor: !viewersNeeded && !editorsNeeded };
  const anyone = ingestKey({ name: "", secret: "", prefix: null });

  function ingestKey({ name, prefix }: KeyEntry): IngestKey {
    const rate = options.rateLimitEvents;
    // A key keeps its bucket when the file is read again.
    const bucket =
      rate === null
        ? null
        : (ingestRing.named(name)?.bucket ?? new TokenBucket({ ratePerSecond: rate }, deps.monotonicMs));
    return { name, devicePrefix: prefix, bucket, takeEvents: (count) => takeEvents(bucket, count) };
  }

  function readerSource(variable: "VIEWER_KEYS" | "EDITOR_KEYS", setting: string, ring: KeyRing<ViewerKey>) {
    const keyOf = (entry: KeyEntry): ViewerKey => ({
      name: entry.name,
      editor: variable === "EDITOR_KEYS",
      fingerprint: fingerprint(sessions.fingerprintKey, entry),
    });
    const onKeys = (entries: readonly KeyEntry[]): void => ring.replace(entries, keyOf);
    return openKeySource({ log: deps.log, onKeys }, { variable, setting, allowPrefix: false });
  }

  const readerWith = (key: string): ViewerKey | undefined => editorRing.find(key) ?? viewerRing.find(key);

  function takeEvents(bucket: TokenBucket | null, count: number): Refusal | undefined {
    if (bucket === null || bucket.tryTake(count)) return undefined;
    refusals.rateLimited++;
    const { limit, remaining, resetSeconds, retrySeconds } = bucket.state(count);
    return new Refusal("rate_limited", `more than ${limit} events a second (RATE_LIMIT_EVENTS)`, undefined, {
      "Retry-After": String(retrySeconds),
      "RateLimit-Limit": String(limit),
      "RateLimit-Remaining": String(remaining),
      "RateLimit-Reset": String(resetSeconds),
    });
  }

  const sources = [
    ...(ingestNeeded
      ? [
          openKeySource(
            { log: deps.log, onKeys: (entries) => ingestRing.replace(entries, ingestKey) },
            { variable: "INGEST_KEYS", setting: options.ingestKeys, allowPrefix: true },
          ),
        ]
      : []),
    ...(viewersNeeded ? [readerSource("VIEWER_KEYS", options.viewerKeys, viewerRing)] : []),
    ...(editorsNeeded ? [readerSource("EDITOR_KEYS", options.editorKeys, editorRing)] : []),
  ];

  function unauthenticated(message: string): Response {
    refusals.unauthenticated++;
    return errorResponse("unauthenticated", message, undefined, challenge);
  }

  function forbidden(message: string): Response {
    refusals.forbidden++;
    return errorResponse("forbidden", message);
  }

  function sessionOf(request: Request): { viewer: Viewer; end: () => void } | undefined {
    for (const token of cookieValues(request.headers.get("cookie"), cookieName)) {
      const claim = sessions.verify(token);
      if (claim === undefined) continue;
      const viewer = [editorRing.named(claim.viewer), viewerRing.named(claim.viewer)].find(
        (each) => each?.fingerprint === claim.fingerprint,
      );
      if (viewer) return { viewer, end: () => sessions.end(claim) };
    }
    return undefined;
  }

  const cookie = (value: string, maxAgeSeconds: number): string =>
    `${cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${options.secure ? "; Secure" : ""}`;

  function viewer(request: Request): Viewer | Response {
    if (!viewersNeeded && !editorsNeeded) return anyViewer;
    const presented = presentedKey(request.headers);
    if (presented !== null) {
      const known = readerWith(presented);
      if (known !== undefined) return known;
      if (!viewersNeeded) return anyViewer;
      return forbidden(ingestRing.find(presented) ? "an ingest key cannot read" : "this key is not known");
    }
    const signedIn = sessionOf(request)?.viewer;
    if (signedIn !== undefined || !viewersNeeded) return signedIn ?? anyViewer;
    return unauthenticated("sign in, or send a viewer key: Authorization: Bearer");
  }

  return {
    viewersNeeded,
    signInPossible: viewersNeeded || editorsNeeded,
    refusals,
    ingest(presented) {
      if (!ingestNeeded) return anyone;
      if (presented === null) {
        refusals.unauthenticated++;
        return ingestKeyNeeded;
      }
      const key = ingestRing.find(presented);
      if (key !== undefined) return key;
      refusals.forbidden++;
      return readerWith(presented) ? viewerKeyCannotWrite : unknownKey;
    },
    viewer,
    editor(request) {
      const who = viewer(request);
      if (who instanceof Response || who.editor) return who;
      if (!editorsNeeded) return forbidden("nobody may change this over HTTP while EDITOR_KEYS is not set");
      if (who.name !== "") return forbidden(`${who.name} may read; changing this needs an editor key (EDITOR_KEYS)`);
      return presentedKey(request.headers) === null
        ? unauthenticated("changing this needs an editor key: sign in, or send Authorization: Bearer")
        : forbidden("this key may not change anything here; that needs an editor key (EDITOR_KEYS)");
    },
    signIn(key, address) {
      const waitSeconds = attempts.waitSeconds(address);
      if (waitSeconds > 0) {
        refusals.signInThrottled++;
        const headers = { "Retry-After": String(waitSeconds) };
        const message = "too many attempts with a wrong key; wait a little";
        return { ok: false, response: errorResponse("rate_limited", message, undefined, headers) };
      }
      const viewer = readerWith(key);
      if (viewer === undefined) {
        attempts.failed(address);
        const scope = ingestRing.find(key) ? "an ingest key cannot read" : "this key is not known";
        return { ok: false, response: forbidden(scope) };
      }
      const token = sessions.issue(viewer.name, viewer.fingerprint);
      const maxAgeSeconds = Math.floor(sessions.lifetimeMs / 1000);
      return { ok: true, viewer: viewer.name, editor: viewer.editor, cookie: cookie(token, maxAgeSeconds) };
    },
    signOut(request) {
      sessionOf(request)?.end();
      return cookie("", 0);
    },
    reload() {
      for (const source of sources) source.reload();
    },
    stop() {
      for (const source of sources) source.stop();
    },
  };
}

/** The key that a request carries; null: none. Other schemes than Bearer are a proxy's business, not ours. */
export function presentedKey(headers: Headers): string | null {
  const authorization = headers.get("authorization");
  if (authorization?.startsWith("Bearer ")) return authorization.slice(7);
  if (authorization !== null && bearer.test(authorization)) return authorization.replace(bearer, "");
  return headers.get("x-api-key") || null;
}

/** Every value of a cookie of that name; a browser may send several. */
function cookieValues(header: string | null, name: string): string[] {
  if (header === null) return [];
  return header
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1))
    .slice(0, 8);
}
