import { CODES, createException, type Exception } from "./exception.ts";
import type { ConnectionHandle } from "./library.ts";

/** A client's session: a connection to the engine that outlives its statements, with its settings and temporary tables. */
export interface Session {
  /** `null` until its first statement has opened it. */
  handle: ConnectionHandle | null;
}

export interface SessionRequest {
  readonly id: string;
  readonly timeoutMs: number;
  /** It must exist already. */
  readonly check: boolean;
}

export type AcquiredSession = { ok: true; session: Session; release(): void } | { ok: false; exception: Exception };

export interface Sessions {
  /** One statement at a time may have a session. */
  acquire(request: SessionRequest): AcquiredSession;
  /** Closes those that no statement has. */
  close(): void;
}

/** A connection each, of about a megabyte. */
const MAX_SESSIONS = 100;

/** `closeConnection` is called with the connection of a session that nobody used for as long as it asked to be kept. */
export function createSessions(closeConnection: (handle: ConnectionHandle) => void): Sessions {
  const sessions = new Map<string, { session: Session; busy: boolean; timer: ReturnType<typeof setTimeout> | null }>();

  function end(id: string): void {
    const entry = sessions.get(id);
    sessions.delete(id);
    if (entry === undefined) return;
    if (entry.timer !== null) clearTimeout(entry.timer);
    if (entry.session.handle !== null) closeConnection(entry.session.handle);
  }

  return {
    acquire({ id, timeoutMs, check }) {
      let entry = sessions.get(id);
      if (entry === undefined) {
        if (check) return refuse(CODES.SESSION_NOT_FOUND, `Session ${id} not found.`);
        if (sessions.size >= MAX_SESSIONS)
          return refuse(CODES.TOO_MANY_SIMULTANEOUS_QUERIES, `Too many sessions. Maximum: ${MAX_SESSIONS}.`);
        entry = { session: { handle: null }, busy: false, timer: null };
        sessions.set(id, entry);
      }
      if (entry.busy) return refuse(CODES.SESSION_IS_LOCKED, `Session ${id} is locked by a concurrent client.`);
      const taken = entry;
      taken.busy = true;
      if (taken.timer !== null) clearTimeout(taken.timer);
      return {
        ok: true,
        session: taken.session,
        release() {
          taken.busy = false;
          taken.timer = setTimeout(() => end(id), timeoutMs);
          // It must not keep an engine from ending.
          taken.timer.unref();
        },
      };
    },
    close() {
      for (const [id, { busy }] of [...sessions]) if (!busy) end(id);
    },
  };
}

const refuse = (code: number, text: string): { ok: false; exception: Exception } => ({
  ok: false,
  exception: createException(code, text),
});
