import { afterAll, beforeAll, expect, test } from "bun:test";
import { errorStatus } from "../../contract/error.ts";
import type { ApiDocument } from "../../server/reference/document.ts";
import { type Service, startService } from "../../testing/test-service.ts";

let service: Service;
let document: ApiDocument;
beforeAll(async () => {
  service = await startService();
  document = (await (await fetch(`${service.url}/openapi/json`)).json()) as ApiDocument;
});
afterAll(() => service.dispose());

/** Routes and statuses of INTERFACE. */
const promised: Record<string, Record<string, number[]>> = {
  "/ingest": { post: [200, 202, 400, 401, 403, 413, 415, 422, 429, 503] },
  "/write": { post: [204, 400, 401, 403, 413, 429, 503] },
  "/api/v2/write": { post: [204, 400, 401, 403, 413, 429, 503] },
  "/api/v3/write_lp": { post: [204, 400, 401, 403, 413, 429, 503] },
  "/query": { post: [200, 400, 401] },
  "/ping": { get: [204] },
  "/health": { get: [200, 503] },
  "/v1/metrics": { post: [200, 400, 401, 403, 413, 415, 429, 503] },
  "/v1/logs": { post: [200, 400, 401, 403, 413, 415, 429, 503] },
  "/dashboard-stream": { get: [200, 401] },
  "/api/history": { get: [200, 400, 401] },
  "/api/event-types": { get: [200, 401] },
  "/api/devices": { get: [200, 400, 401] },
  "/api/devices/{device_id}": { get: [200, 401, 404] },
  "/api/events": { get: [200, 400, 401] },
  "/api/session": { get: [200], post: [200, 403, 429], delete: [204] },
  "/healthz": { get: [200] },
  "/readyz": { get: [200, 503] },
  "/metrics": { get: [200, 401] },
  "/openapi": { get: [200, 401] },
  "/openapi/json": { get: [200, 401] },
};

test("every route and status of the interface is in the reference", () => {
  for (const [path, methods] of Object.entries(promised)) {
    for (const [method, statuses] of Object.entries(methods)) {
      const responses = Object.keys(document.paths[path]?.[method]?.responses ?? {});
      expect([path, method, ...statuses.filter((status) => !responses.includes(String(status)))]).toEqual([
        path,
        method,
      ]);
    }
  }
});

test("every error code that the contract knows is under a route", () => {
  const text = JSON.stringify(document.paths);
  const never = new Set(["internal", "not_found", "method_not_allowed"]);
  const missing = Object.keys(errorStatus).filter((code) => !never.has(code) && !text.includes(`\`${code}\``));
  expect(missing).toEqual([]);
});

test("the schemas are the contract's, and every reference leads somewhere", () => {
  const names = Object.keys(document.components.schemas);
  expect(JSON.stringify(document.components.schemas.Event)).toContain('"maxLength":256');
  for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
    expect(names).toContain(name as string);
  }
});

test("the parameters in the reference are those that the routes know", async () => {
  for (const path of [
    "/api/history",
    "/api/event-types",
    "/api/devices",
    "/api/events",
    "/api/changes",
    "/api/facets",
    "/api/live",
  ]) {
    const response = await fetch(`${service.url}${path}?nobody-knows-this=1`);
    const { error } = (await response.json()) as { error: { message: string } };
    const known = error.message.split("which has ")[1]?.split(", ").sort();
    const documented = document.paths[path]?.get?.parameters?.map((parameter) => parameter.name).sort();
    expect(documented).toEqual(known ?? []);
  }
});

test("every route that answers is in the reference, and every one in the reference answers", async () => {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods)) {
      if (path === "/dashboard-stream") continue;
      const response = await fetch(service.url + path.replace("{device_id}", "x"), { method });
      const html = response.headers.get("content-type")?.startsWith("text/html") ?? false;
      // What no route takes, the dashboard's page or a 404 without a name does.
      expect([path, method, html && path !== "/openapi", response.status === 405]).toEqual([
        path,
        method,
        false,
        false,
      ]);
      await response.body?.cancel();
    }
  }
});

test("the page needs nothing from anywhere", async () => {
  const response = await fetch(`${service.url}/openapi`);
  const html = await response.text();
  expect(html).not.toMatch(/<script|<link|src=|https?:\/\//);
  expect(response.headers.get("content-security-policy")).toStartWith("default-src 'none'; style-src 'sha256-");
  for (const path of Object.keys(promised)) expect(html).toContain(`<code>${path}</code>`);
});
