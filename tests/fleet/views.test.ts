import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { View, ViewLink } from "../../contract/views.ts";
import { type Service, startService, until } from "../../testing/test-service.ts";

setDefaultTimeout(120_000);

const [editor, viewer] = ["editor-secret-0123456789", "viewer-secret-0123456789"];
let service: Service;
beforeAll(async () => {
  service = await startService({
    VIEWER_KEYS: `eve:${viewer}`,
    EDITOR_KEYS: `ed:${editor}`,
    INGEST_KEYS: "in:ingest-secret-0123456789",
  });
});
afterAll(() => service.dispose());

function ask(
  path: string,
  { key = editor, method = "GET", body }: { key?: string; method?: string; body?: unknown } = {},
) {
  return fetch(service.url + path, {
    method,
    headers: {
      ...(key === "" ? {} : { Authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

const history = "/api/history?event_type=temperature&split=meta.site";
const wall = { name: "Wall", path: "/explore?types=temperature", requests: [history, "/dashboard-stream?limit=5"] };

async function create(body: unknown = wall): Promise<View> {
  const response = await ask("/api/views", { method: "POST", body });
  expect(response.status).toBe(201);
  return (await response.json()) as View;
}

async function link(view: View, expires = "7d"): Promise<ViewLink> {
  const response = await ask(`/api/views/${view.id}/links`, { method: "POST", body: { expires } });
  expect(response.status).toBe(201);
  return (await response.json()) as ViewLink;
}

/** A read that ClickHouse may still be too young for. */
const isHtml = (response: Response): boolean => response.headers.get("content-type")?.startsWith("text/html") === true;

const settled = (path: string, key = "") =>
  until("an answer", async () => {
    const response = await ask(path, { key });
    return response.status !== 503 && response;
  });

describe("saved views", () => {
  test("are kept, listed, changed, deleted by editors, and read by viewers", async () => {
    const view = await create();
    expect(view).toMatchObject({ ...wall, pinned: false, created_by: "ed", links: [] });
    expect(await (await ask(`/api/views/${view.id}`, { key: viewer })).json()).toEqual(view);
    const changed = await ask(`/api/views/${view.id}`, {
      method: "PUT",
      body: { ...wall, name: "Hall", pinned: true },
    });
    expect(await changed.json()).toMatchObject({ id: view.id, name: "Hall", pinned: true });
    await service.stop();
    service = await service.restart();
    const listed = (await (await ask("/api/views", { key: viewer })).json()) as { views: View[] };
    expect(listed.views.map((each) => each.name)).toEqual(["Hall"]);
    for (const [method, path, body] of [
      ["POST", "/api/views", wall],
      ["PUT", `/api/views/${view.id}`, wall],
      ["DELETE", `/api/views/${view.id}`, undefined],
      ["POST", `/api/views/${view.id}/links`, { expires: "1d" }],
      ["DELETE", "/api/links/x", undefined],
    ] as const) {
      expect([method, path, (await ask(path, { key: viewer, method, body })).status]).toEqual([method, path, 403]);
      expect([method, path, (await ask(path, { key: "", method, body })).status]).toEqual([method, path, 401]);
    }
    expect((await ask("/api/views", { key: "" })).status).toBe(401);
    expect((await ask(`/api/views/${view.id}`, { method: "DELETE" })).status).toBe(204);
    expect((await ask(`/api/views/${view.id}`)).status).toBe(404);
  });

  test("a body that cannot be a view is refused by name", async () => {
    for (const body of [
      "{",
      {},
      { name: "", path: "/" },
      { name: "x", path: "//elsewhere" },
      { name: "x", path: "https://elsewhere/" },
      { name: "x", path: "/\\elsewhere" },
      { ...wall, requests: ["/api/sql"] },
      { ...wall, requests: ["/api/views"] },
      { ...wall, requests: ["/api/pipeline"] },
      { ...wall, requests: ["/api/history/../views"] },
      { ...wall, requests: ["/api/alerts/rules"] },
      { ...wall, requests: Array.from({ length: 21 }, () => history) },
      { ...wall, owner: "me" },
    ]) {
      const response = await ask("/api/views", { method: "POST", body });
      expect([JSON.stringify(body), response.status >= 400 && response.status < 500]).toEqual([
        JSON.stringify(body),
        true,
      ]);
    }
    expect(((await (await ask("/api/views")).json()) as { views: View[] }).views).toEqual([]);
  });
});

describe("a link", () => {
  test("shows its view and nothing else, to somebody without a key", async () => {
    const view = await create();
    const { url } = await link(view);
    expect(url).toMatch(/^\/shared\/[\w-]{51}$/);
    const shared = await ask(`${url}/view`, { key: "" });
    expect(await shared.json()).toMatchObject({ name: "Wall", path: wall.path, requests: wall.requests });
    expect((await settled(url + history)).status).toBe(200);
    expect((await settled(`${url}${history}&from=2026-01-01&to=2026-01-02&step=60&limit=3`)).status).toBe(200);
    for (const path of [
      "/api/history?event_type=temperature",
      "/api/history?event_type=other&split=meta.site",
      `${history}&device_id=x`,
      `${history}&event_type=other`,
      "/api/history",
      "/api/devices",
      "/api/devices/x",
      "/api/views",
      "/api/pipeline",
      "/api/session",
      "/api/alerts",
      "/dashboard-stream?limit=5&device=x",
      "/api/../api/devices",
      "/api/history/..%2fdevices",
      "/api/%2e%2e/devices",
    ]) {
      const response = await ask(url + path, { key: "" });
      // A path that leads out of the API ends at the dashboard's page, which is for everybody where it has been built.
      const isPage = /\.\.|%2e%2e/.test(path) && isHtml(response);
      expect([path, isPage || [401, 403, 404].includes(response.status)]).toEqual([path, true]);
    }
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const status = (await ask(url + history, { key: "", method })).status;
      expect([method, status >= 400 && status < 500]).toEqual([method, true]);
    }
    // Nor is it a key for anything.
    const token = url.split("/").at(-1) as string;
    expect((await ask("/api/devices", { key: token })).status).toBe(403);
  });

  test("may be embedded, and its page alone", async () => {
    const { url } = await link(await create());
    const page = await ask(url, { key: "" });
    if (page.status === 200) {
      expect(page.headers.get("content-security-policy")).toContain("frame-ancestors *");
      expect(page.headers.get("content-security-policy")).toContain("script-src 'self'");
      expect(page.headers.get("x-frame-options")).toBeNull();
      expect(page.headers.get("referrer-policy")).toBe("no-referrer");
    } else expect(await page.text()).toContain("not built");
    expect((await ask("/", { key: "" })).headers.get("x-frame-options")).toBe("DENY");
  });

  test("is nothing once it is revoked, has expired, was changed, or its view has gone; open streams end", async () => {
    const view = await create();
    const [one, two] = [await link(view), await link(view)];
    const stream = await ask(`${one.url}/dashboard-stream?limit=5`, { key: "" });
    expect(stream.headers.get("content-type")).toStartWith("text/event-stream");
    const ended = stream.text();
    expect((await ask(`/api/links/${one.id}`, { method: "DELETE" })).status).toBe(204);
    expect(await ended).toContain("event: update");
    expect(await ended).not.toContain("event: alerts");
    expect((await ask(`${one.url}/view`, { key: "" })).status).toBe(404);
    expect((await ask(`${two.url}/view`, { key: "" })).status).toBe(200);
    const listed = (await (await ask(`/api/views/${view.id}`)).json()) as View;
    expect(listed.links.map((each) => each.id)).toEqual([two.id]);
    expect(((await (await ask(`/api/views/${view.id}`, { key: viewer })).json()) as View).links).toEqual([]);
    const token = two.url.slice("/shared/".length);
    for (let at = 0; at < token.length; at += 5) {
      const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
      expect((await ask(`/shared/${changed}/view`, { key: "" })).status).toBe(404);
    }
    expect((await ask(`/api/views/${view.id}`, { method: "DELETE" })).status).toBe(204);
    expect((await ask(`${two.url}/view`, { key: "" })).status).toBe(404);
    for (const expires of ["0d", "1y", "367d", "-1d", "", 7]) {
      const other = await create();
      expect((await ask(`/api/views/${other.id}/links`, { method: "POST", body: { expires } })).status).toBe(422);
    }
  });
});
