import { timingSafeEqual } from "node:crypto";
import { quoteIdentifier, tokens } from "./sql.ts";

/** Who is asking. `reader` is anybody who gave no credentials. */
export type Access = "service" | "reader";

/** The role that holds every right. Sessions have it by default; a reader's session gives it up. */
const SERVICE_ROLE = "sluice_service";

/** What turns a session into a reader's: grants first, then `readonly`, which allows no change after it. */
export const READER_SESSION = "SET ROLE NONE; SET readonly = 1";

/**
 * The engine's users file. libchdb logs every session in as `default`, so the two kinds of access are told apart by
 * role. `default` itself may only read `database` and the system tables: it holds no right on any source (file, URL,
 * S3, remote, executable), none to write, none to make even a temporary table. Views keep working, because their
 * definer is `default` with its default role. `implicit_select` is on in the library: `1 + 1` would be a query, and what is no
 * query at all would be answered as a column that does not exist.
 */
export function createUsersXml(database: string): string {
  const readable = [database, "system", "information_schema", "INFORMATION_SCHEMA"];
  const grants = readable.map((name) => `<query>GRANT SELECT ON ${quoteIdentifier(name)}.*</query>`).map(escapeGrant);
  return `<clickhouse>
  <profiles><default><implicit_select>0</implicit_select></default></profiles>
  <quotas><default/></quotas>
  <roles><${SERVICE_ROLE}><grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants></${SERVICE_ROLE}></roles>
  <users>
    <default>
      <password/>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT ${SERVICE_ROLE}</query>
        ${grants.join("\n        ")}
      </grants>
    </default>
  </users>
</clickhouse>
`;
}

const escapeGrant = (element: string): string =>
  element.replace(/^<query>(.*)<\/query>$/s, (_, grant: string) => `<query>${escapeXml(grant)}</query>`);

export function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/**
 * Functions that reach outside the database and that no grant covers. Grants and `readonly` stop every table function
 * of that kind; these are scalar, and in an embedded engine `file('/etc/passwd')` reads any file for anybody.
 */
const OUTSIDE_FUNCTIONS: ReadonlySet<string> = new Set([
  "file",
  "catboostevaluate",
  "evalmlmethod",
  "aiclassify",
  "aiembed",
  "aiextract",
  "aigenerate",
  "aitranslate",
  "reversednsquery",
]);

/**
 * What a reader's query may not contain although the engine would run it, or `null`. The text is the engine's normal
 * form: comments gone, escapes decoded, keywords upper case.
 *
 * Any use of an outside function's name counts, so that `APPLY(file)` does not slip through; a string does not. And a
 * SETTINGS clause counts anywhere, because the engine checks `readonly` against the outermost one alone.
 */
export function findForbidden(normalSql: string): { kind: "function" | "settings"; name: string } | null {
  let at = 0;
  let shows = false;
  for (const token of tokens(normalSql)) {
    const position = at++;
    if (token.kind !== "word" && token.kind !== "identifier") continue;
    if (position === 0) shows = token.text === "show";
    if (OUTSIDE_FUNCTIONS.has(token.text.toLowerCase())) return { kind: "function", name: token.text };
    // Only the keyword is upper case: `system.settings` and the column `Settings` are names. SHOW [CHANGED] SETTINGS reads.
    const isClause = normalSql.slice(token.start, token.end) === "SETTINGS" && !(shows && position <= 2);
    if (isClause) return { kind: "settings", name: "SETTINGS" };
  }
  return null;
}

/** Settings a reader may pass: they change how a result looks and nothing else. None names a file. */
const READER_SETTINGS: ReadonlySet<string> = new Set([
  "output_format_json_quote_64bit_integers",
  "output_format_json_quote_64bit_floats",
  "output_format_json_quote_denormals",
  "output_format_json_quote_decimals",
  "output_format_json_escape_forward_slashes",
  "output_format_json_named_tuples_as_objects",
  "output_format_json_array_of_rows",
  "output_format_json_validate_utf8",
  "output_format_json_pretty_print",
  "output_format_decimal_trailing_zeros",
  "output_format_csv_crlf_end_of_line",
  "output_format_tsv_crlf_end_of_line",
  "output_format_write_statistics",
  "output_format_pretty_color",
  "output_format_pretty_grid_charset",
  "output_format_pretty_max_rows",
  "output_format_pretty_row_numbers",
  "date_time_output_format",
  "format_csv_delimiter",
  "session_timezone",
  "join_use_nulls",
  "limit",
]);

/** Settings a reader may pass to lower a limit; a larger value, or 0 for "no limit", becomes the limit itself. */
export interface ReaderLimits {
  max_execution_time: number;
  max_result_rows: number;
  max_result_bytes: number;
  max_memory_usage: number;
  max_temporary_data_on_disk_size_for_query: number;
  max_threads: number;
}

type Settings = (readonly [name: string, value: string])[];

/** The settings of a reader's session, or the name of the first that a reader may not pass. */
export function readerSettings(
  asked: readonly (readonly [name: string, value: string])[],
  limits: ReaderLimits,
): { ok: true; settings: Settings } | { ok: false; name: string } {
  const settings: Settings = [];
  const effective = new Map<string, number>(Object.entries(limits));
  for (const [name, value] of asked) {
    const limit = effective.get(name);
    if (limit !== undefined) {
      const wanted = Number(value);
      if (Number.isFinite(wanted) && wanted > 0) effective.set(name, Math.min(limit, wanted));
    } else if (READER_SETTINGS.has(name)) settings.push([name, value]);
    // A reader may repeat what holds anyway.
    else if (name !== "readonly" || value !== "1") return { ok: false, name };
  }
  for (const [name, limit] of effective) settings.push([name, String(limit)]);
  return { ok: true, settings };
}

/** Constant time in the secret; lengths may leak, as they do anywhere. */
export function equalSecrets(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * Whether a request may come from a program on this machine rather than from a web page its user visits. A page that
 * rebinds its own name to 127.0.0.1 sends that name as Host; a page that simply asks for a loopback URL sends an
 * Origin, or, for an image or a script, `Sec-Fetch-Site: cross-site`.
 */
export function isLocalRequest(headers: Headers): boolean {
  const host = headers.get("host");
  if (host !== null && !isLoopbackHost(host)) return false;
  const origin = headers.get("origin");
  if (origin !== null && !isLoopbackOrigin(origin)) return false;
  return headers.get("sec-fetch-site") !== "cross-site";
}

function isLoopbackOrigin(origin: string): boolean {
  const host = /^https?:\/\/([^/]+)$/i.exec(origin)?.[1];
  return host !== undefined && isLoopbackHost(host);
}

function isLoopbackHost(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i.test(host);
}
