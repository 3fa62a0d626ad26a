import { CODES, createException, type Exception } from "./exception.ts";
import { type Access, equalSecrets } from "./reader-access.ts";
import type { SessionRequest } from "./sessions.ts";
import { isIdentifier } from "./sql.ts";

/** What a request's URL and headers say, checked. */
export interface ClickHouseRequest {
  access: Access;
  /** The query as far as the URL has it. */
  query: string;
  queryId: string;
  database: string | null;
  format: string;
  settings: (readonly [name: string, value: string])[];
  params: (readonly [name: string, value: string])[];
  /** Hold the answer back until the statement has ended, so that its status is final. */
  waitEndOfQuery: boolean;
  compressResponse: boolean;
  /** For a reader always `null`: it has nothing that a session would keep. */
  session: SessionRequest | null;
  /** `X-ClickHouse-Progress` headers while the statement computes, so often; `null`: none. */
  progressHeadersMs: number | null;
}

export type ParsedRequest = { ok: true; request: ClickHouseRequest } | { ok: false; exception: Exception };

export interface Credentials {
  user: string;
  password: string;
}

const refuse = (code: number, text: string): { ok: false; exception: Exception } => ({
  ok: false,
  exception: createException(code, text),
});

/** Parameters of the interface that are neither settings nor placeholders, and are read elsewhere or have no meaning here. */
const IGNORED: ReadonlySet<string> = new Set([
  "user",
  "password",
  "quota_key",
  "buffer_size",
  "client_protocol_version",
  "session_id",
  "session_timeout",
  "session_check",
]);

/** Parameters that would change what the request means, so that they cannot be passed over. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  role: "roles",
  compress: "the native compression of bodies: use Content-Encoding",
  decompress: "the native compression of bodies: use Content-Encoding",
  stacktrace: "stack traces",
};

/** Settings that only mean something to an HTTP server, which is what this is. */
const isHttpSetting = (name: string): boolean =>
  name.startsWith("http_") ||
  name === "send_progress_in_http_headers" ||
  name === "cancel_http_readonly_queries_on_client_close";

/**
 * Reads `url` and `headers` the way ClickHouse's HTTP interface does. `form` holds the fields of a multipart body,
 * which may carry placeholders too long for a URL.
 */
export function parseRequest(
  url: URL,
  headers: Headers,
  form: Iterable<readonly [string, string]>,
  service: Credentials,
  makeQueryId: () => string,
): ParsedRequest {
  const access = parseAccess(url, headers, service);
  if (access === null)
    return refuse(
      CODES.AUTHENTICATION_FAILED,
      "Authentication failed: password is incorrect, or there is no user with such name.",
    );
  const request: ClickHouseRequest = {
    access,
    query: "",
    queryId: headers.get("x-clickhouse-query-id") ?? "",
    database: headers.get("x-clickhouse-database"),
    format: headers.get("x-clickhouse-format") ?? "",
    settings: [],
    params: [],
    waitEndOfQuery: false,
    compressResponse: false,
    session: null,
    progressHeadersMs: null,
  };
  for (const [name, value] of [...url.searchParams, ...form]) {
    if (name.startsWith("param_")) {
      const param = name.slice("param_".length);
      if (!isIdentifier(param)) return refuse(CODES.BAD_REQUEST_PARAMETER, "A placeholder's name is an identifier.");
      request.params.push([param, value]);
    } else if (name === "query") request.query = value;
    else if (name === "query_id") request.queryId = value;
    else if (name === "database") request.database = value;
    else if (name === "default_format") request.format ||= value;
    else if (name === "wait_end_of_query") request.waitEndOfQuery = isOn(value);
    else if (name === "enable_http_compression") request.compressResponse = isOn(value);
    else if (name in UNSUPPORTED) {
      if (value !== "" && value !== "0")
        return refuse(CODES.NOT_IMPLEMENTED, `The embedded ClickHouse has no ${UNSUPPORTED[name]}.`);
    } else if (!IGNORED.has(name) && !isHttpSetting(name)) {
      if (!isIdentifier(name)) return refuse(CODES.UNKNOWN_SETTING, "A setting's name is an identifier.");
      request.settings.push([name, value]);
    }
  }
  // Goes back in a header; ClickHouse itself takes anything.
  if (!/^[\x20-\x7e]{0,256}$/.test(request.queryId))
    return refuse(CODES.BAD_REQUEST_PARAMETER, "query_id must be at most 256 printable ASCII characters.");
  request.queryId ||= makeQueryId();
  request.format ||= "TabSeparated";
  if (access === "service") {
    const session = parseSession(url.searchParams);
    if (!session.ok) return session;
    request.session = session.session;
  }
  request.progressHeadersMs = parseProgressHeaders(url.searchParams);
  if (!isIdentifier(request.format)) return refuse(CODES.BAD_REQUEST_PARAMETER, "A format's name is an identifier.");
  if (request.database === "") request.database = null;
  return { ok: true, request };
}

const SESSION_TIMEOUT_S = 60;
const SESSION_TIMEOUT_MAX_S = 3600;

function parseSession(
  parameters: URLSearchParams,
): { ok: true; session: SessionRequest | null } | { ok: false; exception: Exception } {
  const id = parameters.get("session_id") ?? "";
  if (id === "") return { ok: true, session: null };
  const timeout = parameters.get("session_timeout") ?? String(SESSION_TIMEOUT_S);
  if (!/^\d{1,9}$/.test(timeout))
    return refuse(CODES.INVALID_SESSION_TIMEOUT, `Invalid session timeout: '${timeout}'.`);
  if (Number(timeout) > SESSION_TIMEOUT_MAX_S)
    return refuse(
      CODES.INVALID_SESSION_TIMEOUT,
      `Session timeout '${timeout}' is larger than max_session_timeout: ${SESSION_TIMEOUT_MAX_S}.`,
    );
  const check = isOn(parameters.get("session_check") ?? "");
  return { ok: true, session: { id, timeoutMs: Number(timeout) * 1000, check } };
}

const PROGRESS_INTERVAL_MS = 100;

function parseProgressHeaders(parameters: URLSearchParams): number | null {
  if (!isOn(parameters.get("send_progress_in_http_headers") ?? "")) return null;
  const interval = Number(parameters.get("http_headers_progress_interval_ms") ?? PROGRESS_INTERVAL_MS);
  return interval >= 1 ? interval : PROGRESS_INTERVAL_MS;
}

const isOn = (value: string): boolean => value === "1" || value === "true";

/** `null`: credentials were given and are wrong. */
function parseAccess(url: URL, headers: Headers, service: Credentials): Access | null {
  const given = parseCredentials(url, headers);
  // What clients send when nobody told them a password.
  if (given === null || ((given.user === "" || given.user === "default") && given.password === "")) return "reader";
  const user = equalSecrets(given.user, service.user);
  const password = equalSecrets(given.password, service.password);
  return user && password ? "service" : null;
}

function parseCredentials(url: URL, headers: Headers): Credentials | null {
  const user = headers.get("x-clickhouse-user");
  const key = headers.get("x-clickhouse-key");
  if (user !== null || key !== null) return { user: user ?? "default", password: key ?? "" };
  const authorization = headers.get("authorization");
  if (authorization !== null) {
    const encoded = /^basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(authorization)?.[1];
    // Some other scheme: credentials all the same, and none that we know.
    if (encoded === undefined) return { user: "", password: authorization };
    const text = Buffer.from(encoded, "base64").toString("utf8");
    const colon = text.indexOf(":");
    return colon === -1
      ? { user: text, password: "" }
      : { user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  const urlUser = url.searchParams.get("user");
  const urlPassword = url.searchParams.get("password");
  if (urlUser === null && urlPassword === null) return null;
  return { user: urlUser ?? "default", password: urlPassword ?? "" };
}
