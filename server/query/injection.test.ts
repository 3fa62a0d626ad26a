import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createTestRoutes, type TestRoutes } from "../../testing/test-routes.ts";
import { startTestStore, type TestDatabase, type TestStore } from "../../testing/test-store.ts";

const hostile = [
  "'",
  "''",
  "' OR 1=1 --",
  "'; DROP TABLE telemetry_events; --",
  "\\'; DROP TABLE devices; --",
  "') UNION ALL SELECT name FROM system.users --",
  "`; DROP TABLE devices",
  '"; DROP TABLE devices',
  "{limit:UInt32}",
  "{x:Identifier}",
  "1; SELECT 1",
  "1 SETTINGS readonly = 0",
  "/* */",
  "\0",
  "\\",
  "\\N",
  "\t\n\r",
  "%27%20OR%201=1",
  "\u2019 OR 1=1",
  "[]",
  "['a', 'b']",
  "NULL",
  "-1",
  "1e400",
  "NaN",
  "9".repeat(40),
  "__proto__",
  "x".repeat(10_000),
  "\ud800",
  "../../etc/passwd",
  "<script>alert(1)</script>",
];

const parameters: Record<string, readonly string[]> = {
  "/api/history": ["event_type", "device_id", "from", "to", "step", "limit"],
  "/api/event-types": ["from", "to", "limit"],
  "/api/devices": ["search", "status", "sort", "limit", "cursor"],
  "/api/events": ["device_id", "event_type", "from", "to", "limit", "cursor", "format"],
};

// A real engine on a machine that may be busy: a test that fails does so by its own assertion.
setDefaultTimeout(60_000);

let store: TestStore;
let database: TestDatabase;
let routes: TestRoutes;
beforeAll(async () => {
  store = await startTestStore();
  database = await store.createDatabase();
  routes = createTestRoutes(database.client);
  const events = [{ device_id: "kept", event_type: "kept", timestamp: Date.now() - 1_000, value_float: 1 }];
  await database.insert(events, "one");
});
afterAll(() => store.stop());

for (const [path, names] of Object.entries(parameters)) {
  for (const name of names) {
    test(`${path}?${name}= takes any text as a value or refuses it, and nothing else`, async () => {
      for (const text of hostile) {
        const response = await routes.fetch(path, { [name]: text });
        // Without what it was asked for, which an answer may name.
        const body = (await response.text()).replaceAll(JSON.stringify(text.toWellFormed()), '""');
        expect([text, response.status === 200 || response.status === 400]).toEqual([text, true]);
        if (response.status === 400) expect(body).toContain('"code":"invalid_parameter"');
        expect(body).not.toMatch(/DB::Exception|system\.users|SELECT /);
      }
      expect(await database.rows("SELECT count() AS n FROM telemetry_events")).toEqual([{ n: 1 }]);
      expect(await database.rows("SELECT device_id FROM devices")).toEqual([{ device_id: "kept" }]);
    });
  }
}

test("/api/devices/ID takes any text as an ID", async () => {
  for (const text of hostile) {
    const response = await routes.fetch(`/api/devices/${encodeURIComponent(text.toWellFormed())}`);
    expect([text, [400, 404].includes(response.status)]).toEqual([text, true]);
  }
});

test("no filter that matches nothing gives anything", async () => {
  for (const text of hostile.filter((each) => each.length <= 128)) {
    for (const query of [{ device_id: text }, { event_type: text }]) {
      const response = await routes.fetch("/api/events", query);
      expect([text, await response.json()]).toEqual([text, { events: [], cursor: null }]);
    }
  }
  expect(routes.logged).toEqual([]);
});
