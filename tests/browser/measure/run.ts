/**
 * Measures the dashboard on the real service with a simulated fleet: an outage, first loads, a steady while, Lighthouse.
 * Not part of the suite, because its figures mean something only on a machine that does nothing else.
 *
 *   bun tests/browser/measure/run.ts --seconds 600 --lighthouse /tmp/lighthouse
 *
 * Lighthouse is no dependency of this project: `npm install --prefix /tmp/lighthouse lighthouse@12.2.3` brings it. Without the option
 * that part is left out; `--only outage,steady,load,lighthouse` chooses parts.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startService } from "../../../testing/test-service.ts";
import { buildClient } from "../harness.ts";
import { measureLighthouse } from "./lighthouse.ts";
import { measureLoads } from "./loads.ts";
import { measureOutage } from "./outage.ts";
import { measureSteady } from "./steady.ts";

const root = join(import.meta.dir, "../../..");
const { values: options } = parseArgs({
  options: {
    devices: { type: "string", default: "10000" },
    rate: { type: "string", default: "5000" },
    /** Of the steady part. */
    seconds: { type: "string", default: "600" },
    runs: { type: "string", default: "5" },
    lighthouse: { type: "string" },
    only: { type: "string", default: "outage,steady,load,lighthouse" },
  },
});
const parts = options.only.split(",");
const [devices, rate, seconds, runs] = [options.devices, options.rate, options.seconds, options.runs].map(Number) as [
  number,
  number,
  number,
  number,
];

buildClient();
const service = await startService({ LOG_LEVEL: "warn" });
const intervalSeconds = devices / rate;
/** Intervals are known after eight reports. */
const silentAt = Math.ceil(10 * intervalSeconds) + 10;
const silentFor = 40;
const outage = parts.includes("outage") ? ["--silence", `0.2@${silentAt}+${silentFor}`] : ["--silence", "0@0+0"];
const simulator = Bun.spawn(
  [
    process.execPath,
    join(root, "cli/sluice.ts"),
    "simulate",
    ...["--url", service.url, "--devices", String(devices), "--rate", String(rate), "--sites", "5"],
    ...["--seconds", String(3_600 + seconds), ...outage],
  ],
  { stdout: "ignore", stderr: "ignore" },
);
try {
  if (parts.includes("outage"))
    await measureOutage(service.url, { stopped: Math.round(devices * 0.2), intervalSeconds });
  else await Bun.sleep(silentAt * 1000);
  if (parts.includes("load")) await measureLoads(service.url, runs);
  if (parts.includes("lighthouse") && options.lighthouse) {
    await measureLighthouse(service.url, { directory: options.lighthouse, runs: Math.min(3, runs) });
  }
  if (parts.includes("steady")) await measureSteady(service.url, seconds);
} finally {
  simulator.kill();
  await simulator.exited;
  await service.dispose();
}
