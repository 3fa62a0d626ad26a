import type { Log } from "../../base/log.ts";
import type { WriterEvents } from "../../workers/client.ts";
import type { EmbeddedClickHouse } from "../../workers/engine/supervisor.ts";
import { epochOf, shardEpochs } from "../live-view/epoch.ts";
import type { Parts } from "./parts.ts";

export interface WriterReportsDeps {
  readonly log: Log;
  /** The thread has ended: a restart recovers from the journal. */
  readonly onFailed: () => void;
  /** Undefined with an external ClickHouse. */
  readonly embedded: Pick<EmbeddedClickHouse, "setBacklog"> | undefined;
  /** The writer thread reports nothing before they are all made. */
  readonly parts: () => Parts;
}

/** Who hears what of the writer thread, and in which order. */
export function createWriterReports({ log, onFailed, embedded, parts }: WriterReportsDeps): WriterEvents {
  return {
    failed({ message }) {
      log("error", "the writer thread failed; stopping, so that a restart recovers the journal", { error: message });
      onFailed();
    },
    durable({ rows, cuts }) {
      parts().ingest.durable(rows, cuts && shardEpochs(cuts));
      parts().ticker.touch();
    },
    refused: ({ rows, reason, message }) => parts().ingest.refused(rows, reason, message),
    sealed: ({ epoch }) => parts().aggregator.sealed([epochOf(epoch)]),
    backlog: ({ batches }) => embedded?.setBacklog(batches),
    stored({ epoch, batch }) {
      const { alerts, pipeline, metrics, aggregator, ingest, storedClock, ticker } = parts();
      pipeline.stored(batch);
      metrics.stored(batch);
      // With Redis `fleet` tells what is stored, by whomever.
      if (epoch > 0) {
        storedClock.stored(epoch);
        aggregator.stored([epochOf(epoch)]);
        ingest.stored(epoch, batch.deadLettered === 0);
        alerts.stored(epoch);
      }
      ticker.pipelineChanged();
    },
    away: ({ reason }) => parts().ingest.away(reason),
    fleet({ storedCuts, settledEpoch, durable, stored, deadLettered }) {
      const { aggregator, ingest, instances, ticker } = parts();
      const before = instances.counts;
      instances.counts = { durable, stored, deadLettered };
      const storedEpochs = shardEpochs(storedCuts);
      aggregator.stored(storedEpochs);
      instances.share?.stored(storedEpochs);
      ingest.stored(settledEpoch, before?.deadLettered === deadLettered);
      if (before?.durable !== durable || before.stored !== stored) ticker.pipelineChanged();
    },
    recovered_rows: ({ epoch, rows, last }) => parts().foldRecovered({ epoch: epochOf(epoch), rows, last }),
    status({ status }) {
      parts().pipeline.status(status);
      parts().ticker.pipelineChanged();
    },
    log: ({ level, message, fields }) => log(level, message, fields),
  };
}
