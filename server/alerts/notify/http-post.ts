import { lookup } from "node:dns/promises";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { isPublicAddress } from "./address-guard.ts";

export interface PostRequest {
  readonly url: string;
  readonly method?: "POST" | "PUT";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export type PostResult =
  | { readonly ok: true; readonly status: number; readonly retryAfter: string | null; readonly excerpt: string }
  /** `refused`: this service will not connect there. */
  | { readonly ok: false; readonly refused: boolean; readonly message: string };

export interface PostOptions {
  readonly allowPrivate: boolean;
  readonly timeoutMs: number;
}

export type Post = (request: PostRequest) => Promise<PostResult>;

const headMaxBytes = 32 * 1024;
const excerptMaxBytes = 1_024;

/**
 * Sends one request and reads the status of its response. It follows no redirect, keeps no connection, and connects to the very
 * address that was looked up and found allowed: a name that resolves differently a moment later (DNS rebinding) changes
 * nothing. Written over a socket because Bun's `fetch` and `node:http` take no resolver.
 */
export function createPost(options: PostOptions): Post {
  return async (request) => {
    const url = new URL(request.url);
    const signal = AbortSignal.timeout(options.timeoutMs);
    const place = await resolvePlace(url, options.allowPrivate, signal);
    if (typeof place === "object") return place;
    return exchange(url, place, request, signal, options.timeoutMs);
  };
}

/** The address to connect to, or why not. Every address of the name has to be allowed: which one is taken is chance. */
async function resolvePlace(url: URL, allowPrivate: boolean, signal: AbortSignal): Promise<string | PostResult> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  let addresses: string[];
  try {
    addresses = isIP(host)
      ? [host]
      : (await abortable(lookup(host, { all: true }), signal)).map(({ address }) => address);
  } catch (error) {
    return { ok: false, refused: false, message: `${host} cannot be resolved (${codeOf(error)})` };
  }
  const first = addresses[0];
  if (first === undefined) return { ok: false, refused: false, message: `${host} has no address` };
  const hidden = allowPrivate ? undefined : addresses.find((address) => !isPublicAddress(address));
  if (hidden === undefined) return first;
  const what = hidden === host ? host : `${host} (${hidden})`;
  return {
    ok: false,
    refused: true,
    message: `${what} is not a public address; ALLOW_PRIVATE_WEBHOOKS=1 allows it`,
  };
}

function exchange(
  url: URL,
  address: string,
  request: PostRequest,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<PostResult> {
  const { promise, resolve } = Promise.withResolvers<PostResult>();
  const isTls = url.protocol === "https:";
  const port = Number(url.port) || (isTls ? 443 : 80);
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const socket: Socket = isTls
    ? connectTls({ host: address, port, ...(isIP(name) ? {} : { servername: name }), ALPNProtocols: ["http/1.1"] })
    : connectPlain({ host: address, port });
  let received = Buffer.alloc(0);

  const settle = (result: PostResult): void => {
    signal.removeEventListener("abort", onTimeout);
    socket.destroy();
    resolve(result);
  };
  const fail = (message: string): void => settle({ ok: false, refused: false, message });
  const onTimeout = (): void => fail(`no response within ${timeoutMs / 1000} s`);
  signal.addEventListener("abort", onTimeout, { once: true });

  const send = (): void => {
    const body = typeof request.body === "string" ? Buffer.from(request.body) : request.body;
    const head = [
      `${request.method ?? "POST"} ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      "User-Agent: Sluice",
      "Accept: */*",
      "Connection: close",
      `Content-Length: ${body.byteLength}`,
      ...(url.username === ""
        ? []
        : [`Authorization: Basic ${btoa(decodeURIComponent(`${url.username}:${url.password}`))}`]),
      ...Object.entries(request.headers).map(([key, value]) => `${key}: ${value}`),
      "",
      "",
    ].join("\r\n");
    socket.write(head);
    socket.write(body);
  };

  socket.once(isTls ? "secureConnect" : "connect", send);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const response = parseHead(received);
    // The excerpt of a refusal is worth waiting for what is there, not for all of it.
    if (response !== null) settle(response);
    else if (received.length > headMaxBytes) fail("the response's head is too long");
  });
  socket.once("error", (error) => fail(`${url.host}: ${codeOf(error)}`));
  socket.once("close", () => fail("the connection was closed without a response"));
  return promise;
}

/** Null: more is needed. A 1xx is passed over. */
function parseHead(received: Buffer): PostResult | null {
  let from = 0;
  for (;;) {
    const end = received.indexOf("\r\n\r\n", from);
    if (end === -1) return null;
    const lines = received.toString("latin1", from, end).split("\r\n");
    const match = /^HTTP\/1\.[01] (\d{3})/.exec(lines[0] ?? "");
    if (match === null) return { ok: false, refused: false, message: "the response is not HTTP" };
    const status = Number(match[1]);
    from = end + 4;
    if (status >= 100 && status < 200) continue;
    const retryAfter = lines.find((line) => /^retry-after:/i.test(line))?.replace(/^[^:]*:\s*/, "") ?? null;
    const excerpt = received.toString("utf8", from, from + excerptMaxBytes).trim();
    return { ok: true, status, retryAfter, excerpt };
  }
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([promise, aborted]);
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && error.code !== undefined ? String(error.code) : error.message;
}
