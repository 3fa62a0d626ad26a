import type { Log } from "../../base/log.ts";
import type { WriterClient } from "../../workers/client.ts";
import type { AccessControl } from "../access/access.ts";
import type { Config } from "../config/groups.ts";
import { createIngest, type Ingest } from "../ingest/ingest.ts";
import { createMqtt, type Mqtt } from "../ingest/mqtt/mqtt.ts";
import { retentionOf } from "./open-retention.ts";
import type { Parts } from "./parts.ts";

export interface IntakeDeps extends Pick<Parts, "aggregator" | "hub" | "epochs" | "alerts" | "instances"> {
  readonly log: Log;
  readonly access: AccessControl;
  readonly writer: WriterClient;
  readonly deadLetterDirectory: string;
}

/** Where events come in: over HTTP, and from an MQTT broker where one is named. */
export function openIntake(deps: IntakeDeps, config: Config): Pick<Parts, "ingest" | "mqtt"> {
  const { log, access, writer, aggregator, hub, epochs, alerts, instances } = deps;
  const ingest = createIngest(
    {
      access,
      writer,
      aggregator,
      watch: hub,
      tap: alerts.tap,
      now: Date.now,
      onAccepted: (rows) => epochs.written(rows),
      sharedKeys: () => instances.share,
    },
    { ...config.limits, journalMaxBytes: config.storage.journalMaxBytes, retention: retentionOf(config) },
  );
  return { ingest, mqtt: openMqtt({ log, ingest }, config, deps.deadLetterDirectory) };
}

function openMqtt(
  deps: { readonly log: Log; readonly ingest: Ingest },
  { protocols, storage, limits, access, listen }: Config,
  deadLetterDirectory: string,
): Mqtt | null {
  if (protocols.mqttUrl === null || listen.role === "writer") return null;
  return createMqtt(
    { ...deps, now: Date.now, monotonicNow: () => performance.now(), random: Math.random },
    {
      url: protocols.mqttUrl,
      templates: protocols.mqttTemplates,
      qos: protocols.mqttQos,
      clientId: protocols.mqttClientId,
      group: protocols.mqttGroup,
      deadLetterDirectory,
      deadLetterMaxBytes: storage.deadLetterMaxBytes,
      maxBodyBytes: limits.maxBodyBytes,
      rateLimitEvents: access.rateLimitEvents,
    },
  );
}
