import type { Handler } from "./listener.ts";

/** Answers HEAD as GET. Bun keeps the headers, leaves the body out, and cancels one that is streamed. */
export function withHead(handle: Handler): Handler {
  return (request, server) =>
    handle(request.method === "HEAD" ? new Request(request, { method: "GET" }) : request, server);
}
