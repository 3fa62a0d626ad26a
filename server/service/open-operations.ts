import type { ClickHouseClient } from "@clickhouse/client";
import { diskSpace } from "../../base/disk-space.ts";
import type { Log } from "../../base/log.ts";
import type { AccessControl } from "../access/access.ts";
import type { Config } from "../config/groups.ts";
import { createPartsReader } from "../ops/engine-parts.ts";
import { createMetrics } from "../ops/metrics.ts";
import { createPipelineState } from "../ops/pipeline.ts";
import type { DataDirectory } from "./data-directory.ts";
import { openRetention } from "./open-retention.ts";
import type { Parts } from "./parts.ts";

export interface OperationsDeps extends Pick<Parts, "requests" | "instances"> {
  readonly log: Log;
  readonly reader: ClickHouseClient;
  readonly access: AccessControl;
  readonly directory: DataDirectory;
  readonly closing: () => boolean;
  readonly version: string;
  /** To be called once everything is made. */
  readonly parts: () => Parts;
}

/** What an operator looks at: the state of the pipeline, the metrics, and what retention deletes. */
export function openOperations(deps: OperationsDeps, config: Config): Pick<Parts, "pipeline" | "metrics" | "sweep"> {
  const { log, reader, access, directory, closing, version, requests, instances, parts } = deps;
  const counts = () => parts().ingest.counts;
  const ring = () => parts().writer.ring;
  const pipeline = createPipelineState(
    {
      counts,
      ring,
      fleet: () => instances.counts,
      streams: () => parts().hub.stats.streams,
      closing,
      mqtt: () => parts().mqtt,
      parts: createPartsReader(reader, config.clickHouse.database),
      now: Date.now,
    },
    { ...config.storage, deadLetterDirectory: directory.deadLetters, version },
  );
  const sweep = openRetention({ log, reader }, config);
  const metrics = createMetrics(
    {
      pipeline,
      sweep,
      counts,
      ring,
      streams: () => parts().hub.stats,
      diskSpace: () => diskSpace(directory.path),
      requests,
      refusals: access.refusals,
    },
    { version },
  );
  return { pipeline, metrics, sweep };
}
