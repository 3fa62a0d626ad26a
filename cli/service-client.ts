import { textOf } from "../base/error-text.ts";
import { parseConfig } from "../server/config/config.ts";
import type { Config } from "../server/config/groups.ts";

const answerTimeoutMs = 30_000;

/** The address of the service that the environment's settings start. */
export function serviceUrl(environment: Readonly<Record<string, string | undefined>>): string {
  return urlOf(parseConfig(environment));
}

export function urlOf({ listen, tls }: Pick<Config, "listen" | "tls">): string {
  // Listening on every address is reached on this machine's own.
  const host = listen.host === "0.0.0.0" || listen.host === "::" ? "127.0.0.1" : listen.host.replace(/^\[|\]$/g, "");
  return `${tls.certFile === "" ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${listen.port}`;
}

export interface ServiceClient {
  /** Throws a `ServiceError` for every answer but a good one. */
  get(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
}

/** What the service answered, or why it did not; one line. */
export class ServiceError extends Error {}

export function createServiceClient(options: {
  readonly url: string;
  readonly key: string | undefined;
}): ServiceClient {
  async function ask(path: string, init: RequestInit): Promise<unknown> {
    const headers = new Headers(init.headers);
    if (options.key !== undefined) headers.set("Authorization", `Bearer ${options.key}`);
    const signal = AbortSignal.timeout(answerTimeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${options.url}${path}`, { ...init, headers, signal });
      text = await response.text();
    } catch (error) {
      throw new ServiceError(`${options.url}: ${textOf(error)}`);
    }
    if (response.ok) return parse(text);
    const answer = parse(text) as {
      error?: { message?: string; details?: { path: string; message: string }[] };
    } | null;
    const { message = text.slice(0, 200), details = [] } = answer?.error ?? {};
    const lines = details.map((detail) => `\n  ${detail.path} ${detail.message}`);
    throw new ServiceError(`${options.url}${path} answers ${response.status}: ${message}${lines.join("")}`);
  }
  return {
    get(path, query = {}) {
      const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
      return ask(given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`, {});
    },
    post: (path, body) =>
      ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  };
}

/** Null for what is not JSON: a proxy in between answers in HTML. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
