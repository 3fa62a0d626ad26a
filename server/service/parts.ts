import type { WriterClient } from "../../workers/client.ts";
import type { Lead } from "../fleet/lead.ts";
import type { RequestFigures } from "../http/request-metrics.ts";
import type { Ingest } from "../ingest/ingest.ts";
import type { Mqtt } from "../ingest/mqtt/mqtt.ts";
import type { Aggregator } from "../live-view/aggregator.ts";
import type { RecoveredFold } from "../live-view/recovered-rows.ts";
import type { Share } from "../live-view/shared/share.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { FleetCounts, PipelineState } from "../ops/pipeline.ts";
import type { RetentionSweep } from "../storage/retention-sweep.ts";
import type { StreamHub } from "../stream/hub.ts";
import type { EpochClock } from "./epoch-clock.ts";
import type { LiveTicker } from "./live-ticker.ts";
import type { LiveFleet } from "./open-fleet.ts";
import type { openLiveAlerts } from "./open-live-alerts.ts";
import type { StoredClock } from "./stored-clock.ts";

/** What instances with one journal know of each other; nulls where there is one alone. */
export interface Instances {
  share: Share | null;
  lead: Lead | null;
  counts: FleetCounts | null;
}

/** What runs between the door and ClickHouse. */
export interface Parts {
  readonly alerts: ReturnType<typeof openLiveAlerts>;
  readonly writer: WriterClient;
  readonly aggregator: Aggregator;
  readonly fleet: LiveFleet;
  readonly foldRecovered: RecoveredFold;
  readonly pipeline: PipelineState;
  readonly requests: RequestFigures;
  readonly metrics: Metrics;
  readonly hub: StreamHub;
  readonly ticker: LiveTicker;
  readonly epochs: EpochClock;
  readonly ingest: Ingest;
  /** Null without MQTT_URL, and where no events are taken. */
  readonly mqtt: Mqtt | null;
  readonly storedClock: StoredClock;
  readonly instances: Instances;
  readonly sweep: RetentionSweep;
  /** Of DATA_DIR; null when ClickHouse's tables are on another disk. */
  readonly diskSpace: () => { readonly freeBytes: number; readonly totalBytes: number } | null;
  /** A bug in front of the routes: logged in full. */
  readonly failed: (error: unknown) => Response;
}
