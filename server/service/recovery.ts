import type { Log } from "../../base/log.ts";
import { epochOf } from "../live-view/epoch.ts";
import { otherTypeName } from "../live-view/type-table.ts";
import type { Parts } from "./parts.ts";

export interface RecoveryDeps {
  readonly log: Log;
  readonly parts: Parts;
  readonly instance: string;
}

/** Waits for the journal, and gives every part what an earlier run left. Resolves with the number of its batches. */
export async function recoverJournal(deps: RecoveryDeps, redisUrl: string | null): Promise<number> {
  const { aggregator, ingest, instances, pipeline, writer } = deps.parts;
  const recovery = await writer.ready;
  const batches = recovery.recovered.length;
  aggregator.startAt(epochOf(batches + 1), recovery.shards);
  if (redisUrl !== null) {
    instances.share = await joinInstances(deps, redisUrl);
    const { createLead } = await import("../fleet/lead.ts");
    instances.lead = createLead({ url: redisUrl, instance: deps.instance });
  }
  ingest.recover(recovery.keys, recovery.recovered.length);
  const rows = recovery.recovered.reduce((sum, batchRows) => sum + batchRows, 0);
  pipeline.recovered(rows, recovery.deadLetters);
  if (batches > 0) aggregator.sealed([epochOf(batches)]);
  return batches;
}

async function joinInstances({ log, parts, instance }: RecoveryDeps, url: string) {
  // Without REDIS_URL nothing of it is loaded.
  const { createShare } = await import("../live-view/shared/share.ts");
  const { aggregator, ticker } = parts;
  return createShare(
    {
      now: Date.now,
      log,
      nameOf: (type) => aggregator.types.nameOf(type) ?? otherTypeName,
      onForeign(from, { shard, epoch, cells }) {
        aggregator.replaceForeign(from, shard, epoch, cells);
        ticker.touch();
      },
    },
    { url, instance },
  );
}
