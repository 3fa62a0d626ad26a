import type { AlertsUpdate } from "../../../contract/alerts.ts";
import type { ChangesUpdate } from "../../../contract/fleet.ts";
import type { Update } from "../../../contract/stream.ts";
import type { SseMessage } from "./sse.ts";
import { parseAlertsUpdate, parseChangesUpdate, parseUpdate } from "./update.ts";

interface MessageHandlers {
  onUpdate(update: Update): void;
  onChanges(update: ChangesUpdate): void;
  onAlerts(update: AlertsUpdate): void;
}

/** A hidden tab shows nobody anything: one update a second is enough for its rings and its title. */
const hiddenEveryMs = 1_000;

/** Reads the stream's messages; what is not understood is left out. */
export function makeMessageReader({ onUpdate, onChanges, onAlerts }: MessageHandlers): (message: SseMessage) => void {
  let parsedAtMs = 0;
  return ({ event, data }) => {
    if (event === "changes") {
      const update = parseChangesUpdate(data);
      if (update) onChanges(update);
    } else if (event === "alerts") {
      const update = parseAlertsUpdate(data);
      if (update) onAlerts(update);
    } else if (event === "update") {
      const nowMs = Date.now();
      if (document.hidden && nowMs - parsedAtMs < hiddenEveryMs) return;
      parsedAtMs = nowMs;
      const update = parseUpdate(data);
      if (update) onUpdate(update);
    }
  };
}
