import { createSluice } from "../baselines/sluice.ts";
import { createSluiceWithRedis } from "../baselines/sluice-redis.ts";
import type { Case } from "../case.ts";
import { throughput } from "../measure.ts";
import { batchesOf1000, headline, single } from "./ingest.ts";

/** On one machine three instances share what one has to itself: this shows the price of the hand-off, not its gain. */
const goals: Case["goals"] = [{ metric: "events_per_second", of: "sluice-redis", against: "sluice", atLeast: 0.5 }];

export const redis1000: Case = {
  name: "redis-1000",
  title: "Three instances over Redis, batches of 1,000 events of 120 bytes",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [throughput(createSluiceWithRedis(), batchesOf1000), throughput(createSluice(), batchesOf1000)],
  goals,
};

export const redis1: Case = {
  name: "redis-1",
  title: "Three instances over Redis, one event of 120 bytes a request, 64 connections",
  seconds: 10,
  repeat: 3,
  headline,
  contestants: [throughput(createSluiceWithRedis(), single), throughput(createSluice(), single)],
  goals,
};
