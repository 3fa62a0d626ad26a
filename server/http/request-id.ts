const given = /^[A-Za-z0-9._:-]{1,64}$/;
/** Source: W3C Trace Context, `traceparent`. */
const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

const made = new WeakMap<Request, string>();

/** The id by which the log and an answer name a request: the caller's own where it is sound, else one made up, once. */
export function requestIdOf(request: Request): string {
  const own = request.headers.get("x-request-id");
  if (own !== null && given.test(own)) return own;
  const trace = traceparent.exec(request.headers.get("traceparent") ?? "")?.[1];
  if (trace !== undefined) return trace;
  const known = made.get(request);
  if (known !== undefined) return known;
  const id = crypto.randomUUID();
  made.set(request, id);
  return id;
}
