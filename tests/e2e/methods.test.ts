import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ErrorAnswer } from "../../contract/error.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";
import { buildClient, dist } from "../browser/harness.ts";

let service: Service;
beforeAll(async () => {
  if (!existsSync(join(dist, "index.html"))) buildClient();
  service = await startService();
  await until("ClickHouse", async () => (await fetch(`${service.url}/api/devices`)).ok);
}, 60_000);
afterAll(() => service.dispose());

/** Every route that is read, with one that takes more than GET last. */
const routes: Record<string, string> = {
  "/": "GET, HEAD",
  "/devices/x": "GET, HEAD",
  "/sw.js": "GET, HEAD",
  "/healthz": "GET, HEAD",
  "/readyz": "GET, HEAD",
  "/metrics": "GET, HEAD",
  "/openapi": "GET, HEAD",
  "/openapi/json": "GET, HEAD",
  "/api/history": "GET, HEAD",
  "/api/event-types": "GET, HEAD",
  "/api/devices": "GET, HEAD",
  "/api/devices/x": "GET, HEAD",
  "/api/events": "GET, HEAD",
  "/api/pipeline": "GET, HEAD",
  "/dashboard-stream": "GET, HEAD",
  "/api/session": "GET, HEAD, POST, DELETE",
};

test("/ingest is a route like the others: it says that it takes POST, and nothing else", async () => {
  for (const method of ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const response = await fetch(`${service.url}/ingest`, { method });
    expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, "POST"]);
    expect(await response.text()).toBe(
      method === "HEAD" ? "" : '{"error":{"code":"method_not_allowed","message":"the method must be POST"}}',
    );
  }
});

test.each(Object.entries(routes))("%s says which methods it takes: %s", async (path, allowed) => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    if (allowed.includes(method)) continue;
    const response = await fetch(service.url + path, { method });
    expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, allowed]);
    const { error } = (await response.json()) as ErrorAnswer;
    expect(error).toEqual({
      code: "method_not_allowed",
      message: `the method must be ${allowed.replace(/, ([^,]*)$/, " or $1")}`,
    });
  }
});

test.each(Object.keys(routes))("HEAD %s is GET without the body", async (path) => {
  const [head, get] = await Promise.all([
    fetch(service.url + path, { method: "HEAD" }),
    fetch(service.url + path, { method: "GET" }),
  ]);
  expect(head.status).toBe(get.status);
  for (const name of ["content-type", "cache-control", "etag", "content-encoding"]) {
    expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
  }
  expect(await head.text()).toBe("");
  await get.body?.cancel();
});

test("what is not there is 404 by any method", async () => {
  for (const path of ["/api/nothing", "/assets/nothing.js"]) {
    for (const method of ["GET", "HEAD"]) {
      expect([path, method, (await fetch(service.url + path, { method })).status]).toEqual([path, method, 404]);
    }
  }
  expect((await fetch(`${service.url}/api/nothing`, { method: "POST" })).status).toBe(404);
});

test("a Host header of any length reaches the same routes", async () => {
  for (const host of ["a", "ab", "abc", "abcd", "a:1", "x".repeat(200)]) {
    const { status } = await fetch(`${service.url}/healthz`, { headers: { Host: host } });
    expect([host, status]).toEqual([host, 403]);
    const body = JSON.stringify({ device_id: "by-any-name", event_type: "t" });
    const headers = { Host: host, "Content-Type": "application/json" };
    const posted = await fetch(`${service.url}/ingest?on_error=skip`, { method: "POST", headers, body });
    expect([host, posted.status]).toEqual([host, 202]);
  }
});

test.each(Object.keys(routes).filter((path) => /^\/(api|healthz|readyz|metrics|openapi|dashboard-stream)/.test(path)))(
  "%s refuses a parameter that it does not have, by name",
  async (path) => {
    const response = await fetch(`${service.url}${path}?wiat=stored`);
    const { error } = (await response.json()) as ErrorAnswer;
    expect([response.status, error.code]).toEqual([400, "invalid_parameter"]);
    expect(error.message).toContain("wiat");
  },
);
