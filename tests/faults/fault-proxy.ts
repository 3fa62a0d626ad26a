import { createServer, request as forwardRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** What becomes of the next insert. Everything but an insert is passed on, except while the proxy refuses. */
export type InsertFault =
  | { readonly kind: "reset_before_body" }
  | { readonly kind: "reset_mid_body" }
  /** ClickHouse commits; the reply is lost. */
  | { readonly kind: "reset_before_reply" }
  | { readonly kind: "reply_never" }
  /** ClickHouse commits, and gets the same request again, as from a proxy that retries by itself. */
  | { readonly kind: "sent_twice" }
  /** Not passed on. */
  | { readonly kind: "exception"; readonly status: 200 | 500; readonly code: number; readonly rejectsRows?: true }
  /** Passed on and committed; the answer says otherwise, or that nobody knows. */
  | { readonly kind: "commits_with_exception"; readonly code: number }
  /** Not passed on: a success with nothing in it, as from a proxy that lost its upstream. */
  | { readonly kind: "empty_success" }
  /** Not passed on: headers of success, then the connection ends before the body does. */
  | { readonly kind: "success_cut_short" };

export interface FaultProxy {
  readonly url: string;
  /** The next inserts get these, one each, in order. */
  plan(...faults: InsertFault[]): void;
  readonly planned: number;
  /** Every insert gets one of these, until `clear`. */
  eachInsert(create: () => InsertFault): void;
  /** Rollup queries do not see what was written in the last so many seconds, as on a replica that lags; null: they do. */
  lag(seconds: number | null): void;
  /** Whether a rollup query may have been answered so in the last so many milliseconds. */
  laggedWithin(ms: number): boolean;
  /** Drops everything that is planned. */
  clear(): void;
  /** While true, connections are refused and the open ones are reset. */
  refuse(refusing: boolean): void;
  /** Bytes a second from the service to ClickHouse; null: as fast as it goes. */
  throttle(bytesPerSecond: number | null): void;
  /** Inserts passed on so far. */
  readonly inserts: number;
  stop(): Promise<void>;
}

/** An HTTP proxy between the service and ClickHouse that breaks things on demand. */
export async function createFaultProxy(upstreamPort: number, port: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const held = new Set<Socket>();
  /** Tokens of the inserts that ClickHouse may have. */
  const passedOn = new Set<string>();
  let faults: InsertFault[] = [];
  let createFault: (() => InsertFault) | null = null;
  let lagSeconds: number | null = null;
  /** When it last lagged, by `performance.now()`. */
  let laggedMs = Number.NEGATIVE_INFINITY;
  let bytesPerSecond: number | null = null;
  let inserts = 0;
  let refusing = false;

  const server = createServer((request, response) => {
    // Not `response.destroy()`: Bun then answers an empty 200.
    handle(request, response).catch(() => reset(request));
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    if (refusing) socket.destroy();
  });
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isInsert = request.method === "POST" && /INSERT(\+|%20)INTO/.test(request.url ?? "");
    const token = /insert_deduplication_token=([^&]*)/.exec(request.url ?? "")?.[1] ?? "";
    // ClickHouse does not refuse what it has taken before, so neither does the proxy.
    const contradicts = faults[0]?.kind === "exception" && faults[0].rejectsRows === true && passedOn.has(token);
    const fault = isInsert && !contradicts ? (faults.shift() ?? createFault?.()) : undefined;
    if (isInsert) inserts++;
    if (fault?.kind === "reset_before_body") return reset(request);
    if (fault?.kind === "exception" || fault?.kind === "empty_success" || fault?.kind === "success_cut_short") {
      await drain(request);
    }
    if (fault?.kind === "empty_success") {
      response.writeHead(200, { "Content-Length": "0" });
      response.end();
      return;
    }
    if (fault?.kind === "exception") return sendException(request, response, fault.status, fault.code);
    if (fault?.kind === "success_cut_short") {
      request.socket.write(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: Keep-Alive\r\n\r\n",
      );
      setTimeout(() => reset(request), 20);
      return;
    }
    let body = await collect(request, fault?.kind === "reset_mid_body" ? 0.5 : 1);
    if (fault?.kind === "reset_mid_body") {
      // Half a body inserts nothing: see `spoolBody` of the embedded engine.
      breakOff(request, body);
      return reset(request);
    }
    if (isInsert) passedOn.add(token);
    if (!isInsert && lagSeconds !== null) {
      laggedMs = performance.now();
      const behind = behindBy(body.toString(), lagSeconds);
      if (behind !== null) body = Buffer.from(behind);
    }
    let answer = await forward(request, body);
    if (fault?.kind === "sent_twice") answer = await forward(request, body);
    if (fault?.kind === "reset_before_reply") return reset(request);
    if (fault?.kind === "commits_with_exception") return sendException(request, response, 500, fault.code);
    if (fault?.kind === "reply_never") {
      held.add(request.socket);
      return;
    }
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  }

  /** Bodies are small here, so they are held; a slow link takes its time. */
  async function collect(request: IncomingMessage, share: number): Promise<Buffer> {
    const body = await drain(request);
    if (bytesPerSecond !== null) await Bun.sleep((body.length / bytesPerSecond) * 1000);
    return body.subarray(0, Math.ceil(body.length * share));
  }

  function headersOf(request: IncomingMessage, length: number): Record<string, string | string[]> {
    const headers: Record<string, string | string[]> = { "content-length": String(length), connection: "close" };
    for (const [name, value] of Object.entries(request.headers)) {
      if (value !== undefined && !["host", "connection", "content-length", "transfer-encoding"].includes(name)) {
        headers[name] = value;
      }
    }
    return headers;
  }

  /** Sends a part of the body to ClickHouse and hangs up. */
  function breakOff(request: IncomingMessage, part: Buffer): void {
    const upstream = forwardRequest({
      host: "127.0.0.1",
      port: upstreamPort,
      method: "POST",
      path: request.url,
      headers: headersOf(request, part.length * 2 + 1),
      agent: false,
    });
    upstream.on("error", () => upstream.destroy());
    upstream.write(part, () => upstream.destroy());
  }

  function forward(
    request: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; headers: Record<string, string | string[]>; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const upstream = forwardRequest(
        {
          host: "127.0.0.1",
          port: upstreamPort,
          method: request.method,
          path: request.url,
          headers: headersOf(request, body.length),
          agent: false,
        },
        (answer) => {
          drain(answer).then((answered) => {
            const headers: Record<string, string | string[]> = { "content-length": String(answered.length) };
            for (const [name, value] of Object.entries(answer.headers)) {
              if (value !== undefined && !["connection", "content-length", "transfer-encoding"].includes(name)) {
                headers[name] = value;
              }
            }
            resolve({ status: answer.statusCode ?? 502, headers, body: answered });
          }, reject);
        },
      );
      upstream.on("error", reject);
      upstream.end(body);
    });
  }

  await listen();
  return {
    url: `http://127.0.0.1:${port}`,
    plan: (...more) => {
      faults.push(...more);
    },
    get planned() {
      return faults.length;
    },
    eachInsert(create) {
      createFault = create;
    },
    lag(seconds) {
      lagSeconds = seconds;
    },
    laggedWithin: (ms) => performance.now() - laggedMs < ms,
    clear() {
      faults = [];
      createFault = null;
      lagSeconds = null;
      bytesPerSecond = null;
      for (const socket of held) socket.destroy();
      held.clear();
    },
    refuse(next) {
      refusing = next;
      if (next) for (const socket of sockets) socket.destroy();
    },
    throttle(next) {
      bytesPerSecond = next;
    },
    get inserts() {
      return inserts;
    },
    stop() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function sendException(request: IncomingMessage, response: ServerResponse, status: 200 | 500, code: number): void {
  response.writeHead(status, {
    "Content-Type": "text/plain",
    "X-ClickHouse-Query-Id": new URL(request.url ?? "", "http://proxy").searchParams.get("query_id") ?? "",
    // Once a 200 is sent there is no header left to say it in.
    ...(status === 500 ? { "X-ClickHouse-Exception-Code": String(code) } : {}),
  });
  response.end(`Code: ${code}. DB::Exception: made up by the fault proxy. (FAULT_PROXY) (version 26.7)\n`);
}

/** A rollup query that sees older parts alone; null: it is another query. */
function behindBy(sql: string, seconds: number): string | null {
  const from = /FROM (`\w+`\.)?telemetry_1s\b/;
  if (!from.test(sql) || !sql.includes("quantilesDDMergeState")) return null;
  const parts = `SELECT name FROM system.parts WHERE table = 'telemetry_1s' AND modification_time < now() - ${seconds}`;
  return sql.replace(from, (table) => `FROM (SELECT * ${table} WHERE _part IN (${parts}))`);
}

async function drain(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function reset(request: IncomingMessage): void {
  request.socket.destroy();
}
