import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorStatus } from "../../contract/error.ts";
import { ConfigError } from "../config/config-error.ts";
import { Refusal } from "../http/refusal.ts";
import { type AccessControl, type AccessOptions, createAccess, presentedKey } from "./access.ts";
import { openSessions, type Sessions } from "./sessions.ts";

const ingestSecret = "ingest-secret-0123456789";
const viewerSecret = "viewer-secret-0123456789";
const lifetimeMs = 3_600_000;

let directory: string;
let nowMs: number;
let logged: string[];
let open: AccessControl[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sluice-access-"));
  nowMs = 1_000_000;
  logged = [];
  open = [];
});
afterEach(() => {
  for (const access of open) access.stop();
  rmSync(directory, { recursive: true, force: true });
});

const sessions = (): Sessions =>
  openSessions({ now: () => nowMs }, { directory: join(directory, "access"), lifetimeMs });

function create(options: Partial<AccessOptions> = {}): AccessControl {
  const access = createAccess(
    {
      log: (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
      sessions: sessions(),
      monotonicMs: () => nowMs,
    },
    {
      ingestKeys: `fleet:${ingestSecret},site:site-secret-0123456789:site-1/`,
      viewerKeys: `ops:${viewerSecret}`,
      editorKeys: "",
      rateLimitEvents: null,
      secure: false,
      ...options,
    },
  );
  open.push(access);
  return access;
}

const request = (headers: Record<string, string> = {}): Request => new Request("http://sluice.test/", { headers });
const status = (answer: object): number => {
  if (answer instanceof Refusal) return errorStatus[answer.code];
  return answer instanceof Response ? answer.status : 200;
};
const cookieOf = (access: AccessControl, secret = viewerSecret): string => {
  const result = access.signIn(secret, "192.0.2.1");
  if (!result.ok) throw new Error(`refused: ${result.response.status}`);
  return result.cookie.split(";")[0] as string;
};

describe("keys", () => {
  test.each([
    [{}, 401],
    [{ Authorization: `Bearer ${ingestSecret}` }, 200],
    [{ authorization: `bearer   ${ingestSecret}` }, 200],
    [{ "X-API-Key": ingestSecret }, 200],
    [{ "X-API-Key": `fleet:${ingestSecret}` }, 200],
    [{ "X-API-Key": `site:${ingestSecret}` }, 403],
    [{ "X-API-Key": "" }, 401],
    [{ "X-API-Key": "nope" }, 403],
    [{ "X-API-Key": viewerSecret }, 403],
    [{ Authorization: `Basic ${btoa(`fleet:${ingestSecret}`)}` }, 401],
    [{ Authorization: "Basic eA==", "X-API-Key": ingestSecret }, 200],
    [{ Authorization: "Bearer" }, 401],
    [{ Authorization: "Bearer wrong", "X-API-Key": ingestSecret }, 403],
  ])("%p may write: %i", (headers: Record<string, string>, expected) => {
    expect(status(create().ingest(presentedKey(new Headers(headers))))).toBe(expected);
  });

  test.each([
    [{}, 401],
    [{ Authorization: `Bearer ${viewerSecret}` }, 200],
    [{ "X-API-Key": viewerSecret }, 200],
    [{ "X-API-Key": ingestSecret }, 403],
    [{ Authorization: "Bearer nope" }, 403],
  ])("%p may read: %i", (headers: Record<string, string>, expected) => {
    expect(status(create().viewer(request(headers)))).toBe(expected);
  });

  test.each([
    ["viewer and editor keys", {}, "editor-secret-0123456789", 200],
    ["viewer and editor keys", {}, viewerSecret, 403],
    ["viewer and editor keys", {}, null, 401],
    ["viewer keys alone", { editorKeys: "" }, viewerSecret, 403],
    ["editor keys alone", { viewerKeys: "" }, "editor-secret-0123456789", 200],
    ["editor keys alone", { viewerKeys: "" }, null, 401],
    ["editor keys alone", { viewerKeys: "" }, "nope", 403],
    ["neither", { viewerKeys: "", editorKeys: "" }, null, 200],
  ] as const)("with %s, %j: %p may change things: %i", (_, options, key, expected) => {
    const access = create({ editorKeys: "lead:editor-secret-0123456789", ...options });
    const headers: Record<string, string> = key === null ? {} : { Authorization: `Bearer ${key}` };
    expect(status(access.editor(request(headers)))).toBe(expected);
  });

  test("an editor key reads, signs in, and stays an editor by its session", () => {
    const access = create({ editorKeys: "ops:editor-secret-0123456789" });
    const bearer = { Authorization: "Bearer editor-secret-0123456789" };
    expect(access.viewer(request(bearer))).toMatchObject({ name: "ops", editor: true });
    // A viewer of the same name stays a viewer: the fingerprint tells them apart.
    expect(access.editor(request({ Cookie: cookieOf(access, "editor-secret-0123456789") }))).toMatchObject({
      editor: true,
    });
    expect(status(access.editor(request({ Cookie: cookieOf(access) })))).toBe(403);
  });

  test("no key gets the challenge that HTTP asks for", () => {
    const answer = create().viewer(request());
    if (!(answer instanceof Response)) throw new Error("let in");
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="sluice"');
  });

  test("a key with a prefix says so", () => {
    const principal = create().ingest(presentedKey(new Headers({ "X-API-Key": "site-secret-0123456789" })));
    expect(principal).toMatchObject({ name: "site", devicePrefix: "site-1/" });
  });

  test("wrong keys stop the start with one line that tells no secret", () => {
    const attempt = (): AccessControl => create({ ingestKeys: "fleet:topsecret,fleet:topsecret2" });
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(/^INGEST_KEYS: key 2 \(fleet\): the name is there twice$/);
  });

  test("a short secret is named in the log, by the key's name", () => {
    create({ viewerKeys: "ops:hunter2" });
    expect(logged.join()).toContain('"names":"ops"');
    expect(logged.join()).not.toContain("hunter2");
  });
});

describe("a file of keys", () => {
  test("revokes and adds when it is read again; a bad file keeps the old keys and says so", () => {
    const file = join(directory, "keys");
    const replace = (text: string): void => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    replace("a:first-secret-0123456789\nb:second-secret-0123456789\n");
    const access = create({ ingestKeys: `@${file}` });
    const may = (secret: string): number => status(access.ingest(presentedKey(new Headers({ "X-API-Key": secret }))));
    expect(may("first-secret-0123456789")).toBe(200);

    replace("b:second-secret-0123456789\nc:third-secret-0123456789\n");
    access.reload();
    expect(may("first-secret-0123456789")).toBe(403);
    expect(may("second-secret-0123456789")).toBe(200);
    expect(may("third-secret-0123456789")).toBe(200);

    for (const bad of ["", "b\n", "b:same-secret-0123456789\nb:other-secret-0123456789\n"]) {
      replace(bad);
      access.reload();
      expect(may("second-secret-0123456789")).toBe(200);
    }
    rmSync(file);
    access.reload();
    expect(may("second-secret-0123456789")).toBe(200);
    expect(logged.filter((line) => line.startsWith("error"))).toHaveLength(4);
    expect(logged.join()).not.toContain("secret-0123456789");
  });

  test("that is not there stops the start", () => {
    expect(() => create({ viewerKeys: `@${join(directory, "none")}` })).toThrow(/^VIEWER_KEYS=@.*ENOENT/);
  });

  test("keeps a key's bucket, so that reading it again gives no new burst", () => {
    const file = join(directory, "keys");
    writeFileSync(file, "a:first-secret-0123456789\n");
    const access = create({ ingestKeys: `@${file}`, rateLimitEvents: 10 });
    const take = (count: number): Refusal | undefined => {
      const principal = access.ingest(presentedKey(new Headers({ "X-API-Key": "first-secret-0123456789" })));
      if (principal instanceof Refusal) throw new Error("refused");
      return principal.takeEvents(count);
    };
    expect(take(10)).toBeUndefined();
    access.reload();
    expect(take(1)?.code).toBe("rate_limited");
  });
});

describe("sessions", () => {
  test("a cookie lets in, until it expires", () => {
    const access = create();
    const headers = { Cookie: `other=1; ${cookieOf(access)}; more=2` };
    expect(access.viewer(request(headers))).toMatchObject({ name: "ops" });
    nowMs += lifetimeMs + 1;
    expect(status(access.viewer(request(headers)))).toBe(401);
  });

  test("outlives a restart; its key is in a file for the service alone", () => {
    const cookie = cookieOf(create());
    expect(create().viewer(request({ Cookie: cookie }))).toMatchObject({ name: "ops" });
    expect(statSync(join(directory, "access/sessions.json")).mode & 0o777).toBe(0o600);
  });

  test("ends when the viewer's key goes, or changes", () => {
    const cookie = cookieOf(create());
    expect(status(create({ viewerKeys: "other:viewer-secret-0123456789" }).viewer(request({ Cookie: cookie })))).toBe(
      401,
    );
    expect(status(create({ viewerKeys: "ops:another-secret-0123456789" }).viewer(request({ Cookie: cookie })))).toBe(
      401,
    );
    expect(status(create().viewer(request({ Cookie: cookie })))).toBe(200);
  });

  test("does not write", () => {
    const access = create();
    expect(status(access.ingest(presentedKey(new Headers({ Cookie: cookieOf(access) }))))).toBe(401);
  });

  test("a copy of it is worth nothing after sign-out, nor after a restart", () => {
    const access = create();
    const headers = { Cookie: cookieOf(access) };
    expect(access.signOut(request(headers))).toContain("Max-Age=0");
    expect(status(access.viewer(request(headers)))).toBe(401);
    expect(status(create().viewer(request(headers)))).toBe(401);
  });

  test("any single changed character makes it worthless", () => {
    const access = create();
    const cookie = cookieOf(access);
    const start = cookie.indexOf("=") + 1;
    for (let at = start; at < cookie.length; at++) {
      const other = cookie[at] === "A" ? "B" : "A";
      const forged = cookie.slice(0, at) + other + cookie.slice(at + 1);
      // The last character of base64 has bits that mean nothing.
      if (
        Buffer.from(forged.slice(forged.indexOf(".") + 1), "base64url").equals(
          Buffer.from(cookie.slice(cookie.indexOf(".") + 1), "base64url"),
        ) &&
        at > cookie.indexOf(".")
      )
        continue;
      expect(status(access.viewer(request({ Cookie: forged })))).toBe(401);
    }
  });

  test("one signed with another key, or with none, is worth nothing", () => {
    const access = create();
    const [payload] = cookieOf(access).slice("sluice=".length).split(".");
    const foreign = openSessions({ now: () => nowMs }, { directory: join(directory, "foreign"), lifetimeMs });
    for (const token of [
      `${payload}.`,
      `${payload}`,
      `.${payload}`,
      `${payload}.${payload}`,
      foreign.issue("ops", "x"),
      "a.b.c",
      ".",
    ]) {
      expect(status(access.viewer(request({ Cookie: `sluice=${token}` })))).toBe(401);
    }
  });

  test("a damaged file of sessions signs everybody out and starts", () => {
    const cookie = cookieOf(create());
    for (const text of ["", "{", '{"signing":1}', "null"]) {
      writeFileSync(join(directory, "access/sessions.json"), text);
      expect(status(create().viewer(request({ Cookie: cookie })))).toBe(401);
    }
  });

  test("when too many have ended, all end, rather than one coming back to life", () => {
    const kept = sessions();
    const first = kept.issue("ops", "f");
    const claim = kept.verify(first);
    if (!claim) throw new Error("not verified");
    kept.end(claim);
    const staying = kept.issue("ops", "f");
    const file = join(directory, "access/sessions.json");
    const text = JSON.parse(readFileSync(file, "utf8")) as { ended: [string, number][] };
    text.ended = Array.from({ length: 10_000 }, (_, index) => [`id-${index}`, nowMs + lifetimeMs]);
    writeFileSync(file, JSON.stringify(text));
    const full = sessions();
    const last = full.verify(staying);
    if (!last) throw new Error("not verified");
    full.end(last);
    expect(full.verify(first)).toBeUndefined();
    expect(full.verify(staying)).toBeUndefined();
    expect(full.verify(full.issue("ops", "f"))).toBeDefined();
  });

  test("the cookie is for this site and for HTTP alone; with TLS for TLS alone, bound to the host", () => {
    const plain = create().signIn(viewerSecret, "");
    const secure = create({ secure: true }).signIn(viewerSecret, "");
    if (!plain.ok || !secure.ok) throw new Error("refused");
    expect(plain.cookie).toMatch(/^sluice=[\w-]+\.[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=3600$/);
    expect(secure.cookie).toMatch(/^__Host-sluice=.*; Path=\/; HttpOnly; SameSite=Strict; Max-Age=3600; Secure$/);
  });
});

describe("signing in", () => {
  test("is refused with an ingest key, a wrong key, and after ten wrong ones for a while even with the right one", () => {
    const access = create();
    const attempt = (secret: string): number => {
      const result = access.signIn(secret, "192.0.2.9");
      return result.ok ? 200 : result.response.status;
    };
    expect(attempt(ingestSecret)).toBe(403);
    for (let index = 0; index < 9; index++) expect(attempt(`guess-${index}`)).toBe(403);
    expect(attempt("guess")).toBe(429);
    expect(attempt(viewerSecret)).toBe(429);
    nowMs += 10_000;
    expect(attempt(viewerSecret)).toBe(200);
  });
});
