import type { Case } from "../case.ts";
import { ackLatency } from "./ack-latency.ts";
import { alerts } from "./alerts.ts";
import { catchUp } from "./catch-up.ts";
import { fanOut } from "./fan-out.ts";
import { influx1000 } from "./influx.ts";
import { ingest1, ingest1At256, ingest100, ingest1000 } from "./ingest.ts";
import { liveLatency } from "./live-latency.ts";
import { loadCurve } from "./load-curve.ts";
import { overload } from "./overload.ts";
import { redis1, redis1000 } from "./redis.ts";
import { soak } from "./soak.ts";
import { start } from "./start.ts";
import { wide } from "./wide.ts";

/** In the order in which they run: short ones first. A new case (with `REDIS_URL`, say) is a file here and a line below. */
export const cases: readonly Case[] = [
  start,
  ingest1000,
  influx1000,
  ingest100,
  ingest1,
  ingest1At256,
  wide,
  alerts,
  redis1000,
  redis1,
  ackLatency,
  liveLatency,
  fanOut,
  overload,
  loadCurve,
  catchUp,
  soak,
];
