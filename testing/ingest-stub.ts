/** For tests: POST /ingest as the service answers it, or as it fails to. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { Type } from "typebox";
import { Value } from "typebox/value";
import { Event } from "../contract/event.ts";

/** `lose`: stores the events and breaks the connection before the answer. `drop`: breaks it and stores nothing. */
export type StubAnswer =
  | "accept"
  | "lose"
  | "drop"
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

const Body = Type.Object({ events: Type.Array(Event) }, { additionalProperties: false });

export interface IngestStub {
  readonly url: string;
  /** By Idempotency-Key: a repetition is answered and not stored again. */
  readonly stored: Map<string, Event[]>;
  readonly events: () => Event[];
  /** Authorization headers, one a request. */
  readonly authorizations: (string | undefined)[];
  stop(): Promise<void>;
}

/** Answers the first requests with `script`, in order, all others with `accept`. */
export async function startIngestStub(script: readonly StubAnswer[]): Promise<IngestStub> {
  const stored = new Map<string, Event[]>();
  const authorizations: (string | undefined)[] = [];
  let requests = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const answer = script[requests] ?? "accept";
      requests++;
      authorizations.push(request.headers.authorization);
      if (typeof answer === "object") {
        response.writeHead(answer.status, answer.headers).end(answer.body ?? "");
        return;
      }
      if (answer === "drop") return void request.socket.destroy();
      const bytes = Buffer.concat(chunks);
      const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
      const body = Value.Parse(Body, JSON.parse(text.toString()));
      const key = String(request.headers["idempotency-key"]);
      if (!stored.has(key)) stored.set(key, body.events);
      if (answer === "lose") return void request.socket.destroy();
      response.writeHead(202, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ status: "queued", event_count: body.events.length }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stored,
    events: () => [...stored.values()].flat(),
    authorizations,
    stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}
