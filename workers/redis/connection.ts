import { RedisClient } from "bun";
import { textOf } from "../../base/error-text.ts";

/**
 * One connection to Redis that fails fast: while it is down every command is refused at once, and a command that is not
 * answered in time takes the connection down, since what comes after it would wait, too.
 *
 * Bun's own client does the transport (0.6 ms of CPU for a megabyte written; node-redis 6 and ioredis 6 took 6 to 8). Its
 * reconnecting and its offline queue are off: which commands may be sent again is for the journal to say.
 */
export interface RedisConnection {
  readonly up: boolean;
  /** Rejects with `RedisAwayError` when the answer is not known: the command may or may not have been executed. */
  call(command: string, args: readonly (string | Uint8Array)[]): Promise<unknown>;
  /** The bytes of a string key; null when there is none. Other replies of Bun's client are text, and bytes are lost in it. */
  bytes(key: string): Promise<Uint8Array | null>;
  /** EVALSHA, and EVAL when Redis does not know the script (any more). */
  script(script: RedisScript, args: readonly (string | Uint8Array)[]): Promise<unknown>;
  /** Messages of these channels; the connection takes no other commands then. Before it is up for the first time. */
  subscribe(channels: readonly string[], onMessage: (channel: string, message: string) => void): void;
  close(): void;
}

export interface RedisScript {
  readonly text: string;
  readonly sha1: string;
}

export interface RedisConnectionOptions {
  readonly url: string;
  readonly commandTimeoutMs: number;
  readonly reconnectDelayMs: number;
  readonly onUp: () => void;
  /** Called once for each time that it goes down, and for a first attempt that fails. */
  readonly onDown: (reason: string) => void;
}

/** The connection is down, or went down before the answer came. */
export class RedisAwayError extends Error {}

/** Redis answered with an error: the command was not executed. */
export class RedisRefusedError extends Error {}

export function defineScript(text: string): RedisScript {
  return { text, sha1: new Bun.CryptoHasher("sha1").update(text).digest("hex") };
}

export function connectRedis(options: RedisConnectionOptions): RedisConnection {
  let client: RedisClient | null = null;
  let up = false;
  let closed = false;
  let timer: Timer | undefined;
  let channels: readonly string[] = [];
  let onMessage: (channel: string, message: string) => void = () => undefined;
  let saidDown = false;

  function down(of: RedisClient, reason: string): void {
    if (of !== client || closed) return;
    client = null;
    up = false;
    of.onclose = null;
    of.close();
    if (!saidDown) {
      saidDown = true;
      options.onDown(reason);
    }
    timer = setTimeout(() => void open(), options.reconnectDelayMs);
  }

  async function open(): Promise<void> {
    const opened = new RedisClient(options.url, {
      autoReconnect: false,
      enableOfflineQueue: false,
      connectionTimeout: options.commandTimeoutMs,
    });
    client = opened;
    opened.onclose = (error) => down(opened, error.message);
    try {
      await within(opened.connect());
      for (const channel of channels) {
        await within(opened.subscribe(channel, (message, from) => onMessage(from, message)));
      }
      if (channels.length === 0) await within(opened.send("PING", []));
    } catch (error) {
      down(opened, textOf(error));
      return;
    }
    if (opened !== client || closed) return;
    up = true;
    saidDown = false;
    options.onUp();
  }

  function within<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new RedisAwayError(`no answer from Redis in ${options.commandTimeoutMs} ms`)),
        options.commandTimeoutMs,
      );
      answer.then(
        (value) => {
          clearTimeout(late);
          resolve(value);
        },
        (error: unknown) => {
          clearTimeout(late);
          reject(error);
        },
      );
    });
  }

  async function ask<T>(command: (of: RedisClient) => Promise<T>): Promise<T> {
    const of = client;
    if (of === null || !up) throw new RedisAwayError("Redis is away");
    try {
      return await within(command(of));
    } catch (error) {
      if (isRefusal(error)) throw new RedisRefusedError(textOf(error));
      down(of, textOf(error));
      throw new RedisAwayError(textOf(error));
    }
  }

  const connection: RedisConnection = {
    get up() {
      return up;
    },
    call: (command, args) => ask((of) => of.send(command, args as string[])),
    bytes: (key) => ask((of) => of.getBuffer(key)),
    async script({ sha1, text }, args) {
      try {
        return await connection.call("EVALSHA", [sha1, "0", ...args]);
      } catch (error) {
        if (!(error instanceof RedisRefusedError) || !error.message.includes("NOSCRIPT")) throw error;
        return connection.call("EVAL", [text, "0", ...args]);
      }
    },
    subscribe(to, handler) {
      channels = to;
      onMessage = handler;
    },
    close() {
      closed = true;
      up = false;
      clearTimeout(timer);
      client?.close();
    },
  };
  // After the caller has had its turn to subscribe.
  timer = setTimeout(() => void open(), 0);
  return connection;
}

/** Redis's own error replies begin with an upper-case code; the client's tell of connections, and carry another code. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof RedisAwayError) return false;
  return (error as Error & { code?: string }).code === "ERR_REDIS_INVALID_RESPONSE"
    ? false
    : /^(ERR|NOSCRIPT|OOM|MISCONF|READONLY|WRONGTYPE|NOAUTH|NOPERM|BUSY|LOADING|MASTERDOWN|EXECABORT)\b/.test(
        error.message,
      );
}
