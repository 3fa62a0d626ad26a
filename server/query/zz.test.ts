import { test } from "bun:test";
import { createClient } from "@clickhouse/client";
import { applySchema } from "/work/main/ddl/apply.ts";
import { createTestRoutes } from "/work/main/server/query/test-routes.ts";
import { PASSWORD, startTestEngine } from "/work/main/workers/clickhouse/test-engine.ts";

test("x", async () => {
  const engine = await startTestEngine();
  const client = createClient({ url: engine.url, username: "default", password: PASSWORD, request_timeout: 400000 });
  await applySchema({ client, database: "default", retentionDays: 90 });
  const M = Number(process.env.ROWS ?? 50),
    perSec = Number(process.env.RATE ?? 10000),
    dev = Number(process.env.DEV ?? 10000);
  const end = Date.now() - 5000,
    start = end - ((M * 1e6) / perSec) * 1000;
  const t0 = performance.now();
  for (let m = 0; m < M; m += 5) {
    await client.command({
      query: `INSERT INTO telemetry_events SELECT fromUnixTimestamp64Milli(toInt64(${start} + intDiv((number + ${m}000000) * 1000, ${perSec})), 'UTC'), timestamp, 'device-' || leftPad(toString(rand(1) % ${dev}), 6, '0'), if(number % 1000000 = 7, 'rare', 'type_' || toString(rand(2) % 20)), rand(3) % 10000 / 100, NULL, map('site', 's' || toString(rand(1) % 50), 'fw', '1.2.3') FROM (select number, fromUnixTimestamp64Milli(toInt64(${start} + intDiv((number + ${m}000000) * 1000, ${perSec})), 'UTC') as timestamp from numbers(5000000)) SETTINGS max_threads=1, async_insert=0, max_insert_threads=1`,
    });
  }
  console.log("filled", ((performance.now() - t0) / 1000).toFixed(0), "s");
  const rss = () =>
    Number(
      /VmRSS:\s+(\d+)/.exec(
        require("node:fs").readFileSync(`/proc/${engine.clickhouse.status().pid}/status`, "utf8"),
      )[1],
    ) / 1000;
  const r = createTestRoutes(client);
  const time = async (l, p, q = {}) => {
    const ts = [];
    let n;
    let st;
    for (let i = 0; i < 3; i++) {
      const t = performance.now();
      const x = await r.fetch(p, q);
      const text = await x.text();
      st = x.status;
      n = text.length;
      ts.push((performance.now() - t).toFixed(0));
      if (q.format === "csv") break;
    }
    console.log(l.padEnd(28), ts.join(" "), "ms", st, n);
    const why = r.logged.splice(0).map((x) => x.fields?.reason);
    if (why.length) console.log(why);
  };
  const run = async () => {
    await time("events newest 100", "/api/events");
    await time("events newest 1000", "/api/events", { limit: 1000 });
    await time("events device", "/api/events", { device_id: "device-000077" });
    await time("events type", "/api/events", { event_type: "type_3" });
    await time("events rare type", "/api/events", { event_type: "rare" });
    await time("events no such type", "/api/events", { event_type: "nope" });
    await time("events no such device", "/api/events", { device_id: "nope" });
    await time("events to=middle", "/api/events", { to: Math.round((start + end) / 2) });
    await time("events device+rare", "/api/events", { device_id: "device-000077", event_type: "rare" });
    await time("history 1h", "/api/history");
    await time("history 1h 50 series", "/api/history", { limit: 50, step: 2 });
    await time("history device 1h", "/api/history", { device_id: "device-000077" });
    await time("history device 30d", "/api/history", { device_id: "device-000077", from: end - 30 * 86400000 });
    await time("event-types all", "/api/event-types");
    await time("devices", "/api/devices");
    await time("devices -last_seen", "/api/devices", { sort: "-last_seen" });
    await time("devices silent search", "/api/devices", { status: "silent", search: "77" });
    await time("device detail", "/api/devices/device-000077");
    await time("csv 100k", "/api/events", { format: "csv", limit: 100000 });
    console.log("rss", rss());
  };
  console.log(
    await (
      await client.query({
        query: "select count() c from system.parts where active and table='telemetry_events'",
        format: "JSONEachRow",
      })
    ).json(),
  );
  await run();
  if (process.env.FINAL) {
    const t = performance.now();
    await client.command({ query: "OPTIMIZE TABLE telemetry_events FINAL" });
    console.log("merged", ((performance.now() - t) / 1000).toFixed(0), "s, rss", rss());
    await run();
  }
  await client.close();
  await engine.stop();
}, 580000);
