import type { PipelineDetail } from "../../../../contract/read.ts";
import { plural } from "../../ui/format.ts";

interface Judgement {
  tone: "ok" | "info" | "warn" | "bad";
  title: string;
  lines: readonly string[];
}

/** The state of the service in a sentence. Dead letters are somebody's lost events until they are looked at. */
export function judge({ ready, reasons, starting, dead_letters }: PipelineDetail): Judgement {
  if (!ready) return { tone: "bad", title: "Not accepting events", lines: reasons };
  if (starting) {
    return { tone: "info", title: "Starting", lines: ["Events are accepted already; ClickHouse is starting."] };
  }
  if (reasons.length > 0) return { tone: "warn", title: "Accepting events; storage degraded", lines: reasons };
  if (dead_letters.count > 0) {
    const refused = `ClickHouse refused ${plural(dead_letters.count, "event")}. They are kept in a file and can be replayed.`;
    return { tone: "warn", title: "Storing events, but not all of them", lines: [refused] };
  }
  return {
    tone: "ok",
    title: "All systems operational",
    lines: ["Every accepted event is on disk, and ClickHouse keeps up."],
  };
}
