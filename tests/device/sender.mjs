/**
 * The device of the kill campaign: plain JavaScript, so that Node and Bun both run it, with the SDK that it is told.
 * It writes the number of each event to its ledger before `send` and a `.` after it: a number without one is in doubt.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const { sdk, url, spool, spoolMaxBytes, deviceId, ledger, events, perTurn } = JSON.parse(process.argv[2] ?? "{}");
const { createDevice } = await import(sdk);

const written = readFileSync(ledger, { encoding: "utf8", flag: "a+" });
const device = createDevice({ url, deviceId, spool, spoolMaxBytes, batchEvents: 200, flushIntervalMs: 50 });
const file = openSync(ledger, "a");
let next = written.split(/[ .]+/).filter((number) => number !== "").length;
while (next < events) {
  for (const end = Math.min(events, next + perTurn); next < end; next++) {
    writeSync(file, `${next} `);
    device.send({ event_type: "number", value_float: next, metadata: { padding: "x".repeat(next % 60) } });
    writeSync(file, ".");
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
}
await device.flush();
await device.close();
closeSync(file);
process.stdout.write(JSON.stringify(device.stats));
