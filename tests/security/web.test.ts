import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { contentSecurityPolicy, createWeb } from "../../server/access/web.ts";
import { type Service, startService } from "../../testing/test-service.ts";
import { buildClient, dist, noChromium, openBrowser } from "../browser/harness.ts";

const viewerKey = "viewer-secret-0123456789";

let service: Service;
beforeAll(async () => {
  if (!existsSync(join(dist, "index.html"))) buildClient();
  service = await startService({ VIEWER_KEYS: `ops:${viewerKey}`, INGEST_KEYS: "fleet:ingest-secret-0123456789" });
});
afterAll(() => service.dispose());

const answer = (): Response => Response.json({ ok: true });
const ask = (url: string, headers: Record<string, string> = {}, method = "GET"): Request =>
  new Request(url, { method, headers: { Host: new URL(url).host, ...headers } });

describe("headers", () => {
  test("of a page, a file, an answer, a refusal and a stream keep browsers from guessing, framing and telling", async () => {
    const html = await (await fetch(service.url)).text();
    const script = /src="(\/assets\/[^"]+)"/.exec(html)?.[1] as string;
    for (const path of [
      "/",
      "/devices/x",
      script,
      "/sw.js",
      "/healthz",
      "/api/session",
      "/api/devices",
      "/dashboard-stream",
      "/metrics",
    ]) {
      const abort = new AbortController();
      const { headers } = await fetch(service.url + path, { signal: abort.signal });
      abort.abort();
      expect([path, headers.get("x-content-type-options")]).toEqual([path, "nosniff"]);
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
      expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
      expect(headers.get("content-security-policy")).toBe(contentSecurityPolicy);
      expect(headers.get("access-control-allow-origin")).toBeNull();
      expect(headers.get("strict-transport-security")).toBeNull();
      expect(headers.get("server")).toBeNull();
      expect(headers.get("x-powered-by")).toBeNull();
    }
  });

  test("the policy allows no inline script, no eval and nothing from elsewhere", () => {
    expect(contentSecurityPolicy).toStartWith("default-src 'none'; script-src 'self';");
    expect(contentSecurityPolicy).not.toMatch(/unsafe|https?:|\*/);
    expect(contentSecurityPolicy).toContain("frame-ancestors 'none'");
  });

  test("what is private is not kept by anybody", async () => {
    for (const path of ["/api/session", "/api/pipeline", "/api/devices", "/metrics"]) {
      const response = await fetch(service.url + path, { headers: { "X-API-Key": viewerKey } });
      expect([path, response.headers.get("cache-control")]).toEqual([path, "no-store"]);
      await response.text();
    }
  });
});

describe("other origins", () => {
  const reachable = { loopbackOnly: false, ingestLoopbackOnly: false };
  const web = createWeb({ corsOrigins: ["https://wall.example"], secure: true, ...reachable });
  const route = web.readerRoutes(answer);
  const ingest = web.deviceRoutes(async () => answer());
  const preflight = { Origin: "https://wall.example", "Access-Control-Request-Method": "GET" };

  test("are closed out unless named", async () => {
    const foreign = await route(ask("https://sluice.test/api/devices", { Origin: "https://evil.example" }));
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    const suffix = await route(ask("https://sluice.test/api/devices", { Origin: "https://wall.example.evil" }));
    expect(suffix.headers.get("access-control-allow-origin")).toBeNull();
    const named = await route(ask("https://sluice.test/api/devices", { Origin: "https://wall.example" }));
    expect(named.headers.get("access-control-allow-origin")).toBe("https://wall.example");
    // Never with cookies.
    expect(named.headers.get("access-control-allow-credentials")).toBeNull();
    expect(named.headers.get("vary")).toContain("Origin");
  });

  test("that are named may read the API and post events, and no more", async () => {
    const reading = await route(ask("https://sluice.test/api/devices", preflight, "OPTIONS"));
    expect([reading.status, reading.headers.get("access-control-allow-methods")]).toEqual([204, "GET"]);
    const posting = await ingest(ask("https://sluice.test/ingest", preflight, "OPTIONS"));
    expect([posting.status, posting.headers.get("access-control-allow-methods")]).toEqual([204, "POST"]);
    const posted = await ingest(ask("https://sluice.test/ingest", { Origin: "https://wall.example" }, "POST"));
    expect(posted.headers.get("access-control-allow-origin")).toBe("https://wall.example");
    const stranger = await ingest(ask("https://sluice.test/ingest", { ...preflight, Origin: "null" }, "OPTIONS"));
    expect(stranger.status).toBe(403);
    const session = ask("https://sluice.test/api/session", { Origin: "https://wall.example" }, "DELETE");
    expect((await route(session)).status).toBe(403);
  });

  test("the hot route is the handler itself while no origin is named and strangers cannot be meant", () => {
    const handle = async (): Promise<Response> => answer();
    expect(createWeb({ corsOrigins: [], secure: false, ...reachable }).deviceRoutes(handle)).toBe(handle);
  });

  test("with TLS every answer says so for two years", async () => {
    const response = await route(ask("https://sluice.test/"));
    expect(response.headers.get("strict-transport-security")).toBe("max-age=63072000");
  });

  test("an open service on loopback answers to no name that a stranger's DNS points at it", async () => {
    const local = createWeb({ ...reachable, corsOrigins: [], secure: false, loopbackOnly: true }).readerRoutes(answer);
    for (const host of ["localhost:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "sluice.localhost"]) {
      expect([host, (await local(ask(`http://${host}/api/devices`))).status]).toEqual([host, 200]);
    }
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "192.0.2.1",
      "127.0.0.1:8000@evil",
    ]) {
      const request = new Request("http://127.0.0.1/api/devices", { headers: { Host: host } });
      expect([host, (await local(request)).status]).toEqual([host, 403]);
    }
  });

  test("an open service on loopback takes no events from a page whose name points at it", async () => {
    for (const corsOrigins of [[], ["https://wall.example"]]) {
      const options = { ...reachable, corsOrigins, secure: false, ingestLoopbackOnly: true };
      const local = createWeb(options).deviceRoutes(async () => answer());
      const status = async (host: string, headers: Record<string, string>): Promise<number> =>
        (await local(ask(`http://${host}/ingest`, headers, "POST"))).status;
      expect(await status("evil.example:8000", { Origin: "http://evil.example:8000" })).toBe(403);
      expect(await status("evil.example", { "Sec-Fetch-Site": "same-origin" })).toBe(403);
      expect(await status("localhost:8000", { Origin: "http://localhost:8000" })).toBe(200);
      expect(await status("127.0.0.1:8000", { Origin: "https://wall.example", "Sec-Fetch-Site": "cross-site" })).toBe(
        200,
      );
      // A device, by the name that its proxy or its hosts file has.
      expect(await status("gateway.local", {})).toBe(200);
    }
  });

  test("a request that changes something has to come from the service's own pages, or from no page", async () => {
    const own = web.readerRoutes(answer);
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await own(ask("https://sluice.test/api/session", headers, "POST"))).status;
    expect(await status({})).toBe(200);
    expect(await status({ "Sec-Fetch-Site": "same-origin", Origin: "https://sluice.test" })).toBe(200);
    expect(await status({ "Sec-Fetch-Site": "none" })).toBe(200);
    expect(await status({ Origin: "https://sluice.test" })).toBe(200);
    expect(await status({ "Sec-Fetch-Site": "same-site" })).toBe(403);
    expect(await status({ "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await status({ Origin: "https://sluice.test.evil.example" })).toBe(403);
    expect(await status({ Origin: "null" })).toBe(403);
  });
});

test("without keys /ingest takes nothing from another site's page, whatever name it has here", async () => {
  const open = await startService();
  try {
    const post = async (headers: Record<string, string>): Promise<number> =>
      (
        await fetch(`${open.url}/ingest`, {
          method: "POST",
          headers: { "Content-Type": "application/json", ...headers },
          body: '{"device_id":"d","event_type":"t"}',
        })
      ).status;
    // After DNS rebinding it is the page's own origin, so nothing asks for a preflight.
    expect(await post({ Host: "evil.example", Origin: "http://evil.example" })).toBe(403);
    // Without, only what needs no preflight gets here at all.
    const simple = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
    for (const type of simple) {
      expect([type, await post({ Origin: "https://evil.example", "Content-Type": type })]).toEqual([type, 415]);
    }
    const preflight = await fetch(`${open.url}/ingest`, {
      method: "OPTIONS",
      headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "POST" },
    });
    expect([preflight.ok, preflight.headers.get("access-control-allow-origin")]).toEqual([false, null]);
    expect(await post({})).toBe(202);
  } finally {
    await open.dispose();
  }
});

test.skipIf(noChromium)(
  "in a browser: sign-in by page, live view by cookie, every page without a violation of the policy",
  async () => {
    const browser = await openBrowser(() => service.url);
    try {
      const page = await browser.page("/");
      await page.locator("input[name=key]").fill("wrong");
      await page.locator("button[type=submit]").click();
      await page.locator("#key-message", { hasText: "not accepted" }).waitFor();
      await page.locator("input[name=key]").fill(viewerKey);
      await page.locator("button[type=submit]").click();
      await page.locator(".connection[data-kind=live]").waitFor();

      const headers = { "X-API-Key": "ingest-secret-0123456789" };
      const nowMs = Date.now();
      const events = Array.from({ length: 50 }, (_, index) => ({
        device_id: `d${index}`,
        event_type: "csp",
        value_float: index,
        timestamp: nowMs - index * 60_000,
      }));
      expect((await service.ingest(events, { headers, query: "?wait=stored" })).status).toBe(200);
      await page.getByText("csp").first().waitFor();
      const [cookie] = await browser.context.cookies();
      expect(cookie).toMatchObject({ name: "sluice", httpOnly: true, sameSite: "Strict" });
      expect(await page.evaluate(() => document.cookie)).toBe("");

      const pages = {
        "/devices": "text=d1",
        "/devices/d1": "canvas",
        "/explore": ".explore-main .apexcharts-series path",
        "/pipeline": "text=ClickHouse",
        "/openapi": "text=Schemas",
      };
      for (const [path, drawn] of Object.entries(pages)) {
        const other = await browser.page(path);
        // Attached, not visible: a line of one point has no size.
        await other.locator(drawn).first().waitFor({ state: "attached" });
        await other.close();
      }
      expect(browser.faults.filter((fault) => !/401|403/.test(fault))).toEqual([]);
    } finally {
      await browser.close();
    }
  },
  60_000,
);
