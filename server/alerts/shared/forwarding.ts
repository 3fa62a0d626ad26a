import { errorResponse } from "../../http/errors.ts";

/** A request to the alerts' routes on its way to the instance that holds the lease, and its answer. Never a key or a cookie. */

export interface Forwarded {
  readonly id: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly body: string | null;
  readonly contentType: string;
  /** The editor's name, for the audit; whether they may was decided where the request came in. */
  readonly who: string;
  /** After so long nobody waits for the answer. */
  readonly validForMs: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

const bodyMaxBytes = 256 * 1024;
const answerMs = 4_000;
/** A test message is sent while the request waits. */
const testAnswerMs = 17_000;

/** The request as it is sent on; or what is wrong with its body already here. */
export async function forwardedOf(request: Request, who: string): Promise<Forwarded | Response> {
  const { pathname, search } = new URL(request.url);
  const body = request.body === null ? null : await readBody(request.body);
  if (body instanceof Response) return body;
  return {
    id: crypto.randomUUID(),
    method: request.method,
    path: `${pathname}${search}`,
    body,
    contentType: request.headers.get("content-type") ?? "",
    who,
    validForMs: pathname.endsWith("/test") ? testAnswerMs : answerMs,
  };
}

async function readBody(stream: ReadableStream<Uint8Array>): Promise<string | Response> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > bodyMaxBytes) return errorResponse("body_too_large", `the body must be at most ${bodyMaxBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    if (error instanceof TypeError) return errorResponse("malformed_encoding", "the body is not UTF-8");
    throw error;
  }
}

export function requestOf({ method, path, body, contentType }: Forwarded): Request {
  const headers = contentType === "" ? {} : { "Content-Type": contentType };
  return new Request(`http://alerts${path}`, { method, headers, ...(body === null ? {} : { body }) });
}

export async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, body: await response.text() };
}

export function responseOf({ status, body }: Answer): Response {
  const headers = { "Cache-Control": "no-store", "Content-Type": "application/json" };
  return status === 204 ? new Response(null, { status, headers }) : new Response(body, { status, headers });
}
