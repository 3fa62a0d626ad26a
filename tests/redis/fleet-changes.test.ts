import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../../testing/test-service.ts";
import { type Fleet, redisProgram, startFleet } from "./rig.ts";

setDefaultTimeout(180_000);

const quick = { FLUSH_INTERVAL: "0.2", AGGREGATION_INTERVAL: "0.5", LOG_LEVEL: "warn" };
const intervalMs = 2_000;

describe.skipIf(redisProgram === null)("two instances over Redis", () => {
  let fleet: Fleet;
  let timer: Timer | undefined;
  /** Devices that report, each now to one instance and now to the other. */
  const reporting = new Set(["a", "b", "c", "d"]);
  beforeAll(async () => {
    fleet = await startFleet(2, quick);
    let round = 0;
    timer = setInterval(() => {
      round++;
      for (const [index, device_id] of [...reporting].entries()) {
        const service = fleet.instances[(index + round) % 2];
        service?.ingest({ device_id, event_type: "t", value_float: 1 }).catch(() => undefined);
      }
    }, intervalMs);
  });
  afterAll(async () => {
    clearInterval(timer);
    await fleet.dispose();
  });

  const totals = async (index: number) => {
    const response = await fetch(`${fleet.instances[index]?.url}/dashboard-stream`);
    const reader = response.body?.getReader();
    let text = "";
    while (!text.includes("event: update") || !text.endsWith("\n\n")) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      text += new TextDecoder().decode(part.value);
    }
    await reader?.cancel();
    const data = /event: update\ndata: (.*)/.exec(text)?.[1] ?? "{}";
    return (JSON.parse(data) as { totals: { online: number; silent: number; complete: boolean } }).totals;
  };
  const both = async (wanted: { online: number; silent: number }) => {
    const seen = await Promise.all([totals(0), totals(1)]);
    return seen.every((each) => each.complete && each.online === wanted.online && each.silent === wanted.silent);
  };
  const rows = () =>
    fleet.engine.rows<{ kind: string; device_id: string; n: number }>(
      "SELECT kind, device_id, toUInt32(count()) AS n FROM device_changes WHERE kind IN ('silent', 'online', 'new') GROUP BY kind, device_id ORDER BY kind, device_id",
    );

  test("agree on who is silent, and write each change once", async () => {
    await until("all are online", () => both({ online: 4, silent: 0 }), 60_000);
    // Five reports, of which each instance has heard a half: nobody is missed.
    await Bun.sleep(6 * intervalMs);
    expect(await both({ online: 4, silent: 0 })).toBe(true);
    reporting.delete("b");
    await until("both miss b", () => both({ online: 3, silent: 1 }), 60_000);
    reporting.add("b");
    await until("both have b back", () => both({ online: 4, silent: 0 }), 60_000);
    const found = await until(
      "the changes are written",
      async () => {
        const all = await rows();
        return all.some((row) => row.kind === "online") && all;
      },
      60_000,
    );
    expect(found).toEqual([
      { kind: "new", device_id: "a", n: 1 },
      { kind: "new", device_id: "b", n: 1 },
      { kind: "new", device_id: "c", n: 1 },
      { kind: "new", device_id: "d", n: 1 },
      { kind: "online", device_id: "b", n: 1 },
      { kind: "silent", device_id: "b", n: 1 },
    ]);
  });
});
