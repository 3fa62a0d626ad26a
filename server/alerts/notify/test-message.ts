import type { Channel } from "../../../contract/alerts.ts";
import { messageId } from "../identity.ts";
import type { Outgoing } from "./bodies.ts";

/** A message to see whether a channel's messages arrive. */
export function testMessage(channelId: string, channel: Channel, nowMs: number): Outgoing {
  return {
    id: messageId(channelId, "test", nowMs),
    channel,
    attemptMs: nowMs,
    content: {
      type: "alert.firing",
      createdMs: nowMs,
      labels: {},
      groupKey: "test",
      repeat: false,
      test: true,
      alerts: [
        {
          id: "al_test",
          ruleId: "rule_test",
          rule: "Test",
          severity: "info",
          deviceId: null,
          group: null,
          metadata: {},
          state: "firing",
          startedMs: nowMs,
          atMs: nowMs,
          value: null,
          message: "This is a test. Messages of this channel arrive here.",
          runbook: null,
        },
      ],
    },
  };
}
