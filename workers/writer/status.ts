import type { FromWriter, WriterStatus } from "../protocol.ts";
import type { Inserter } from "./inserter.ts";

/** Posts the writer's status when it is another one than last time. Called as often as one likes. */
export function createStatusReport(post: (message: FromWriter) => void, current: () => WriterStatus): () => void {
  let last = "";
  return () => {
    const status = current();
    const text = JSON.stringify(status);
    if (text === last) return;
    last = text;
    post({ type: "status", status });
  };
}

/** What is told of ClickHouse: the worst that an inserter sees, and all their retries. */
export function statusOfInserters(
  inserters: readonly Inserter[],
): Pick<WriterStatus, "clickhouse" | "retries" | "lastError" | "diskShortage" | "deadLetterFailure"> {
  const worst =
    inserters.find(({ state }) => state === "denied") ??
    inserters.find(({ state }) => state === "unavailable") ??
    inserters[0];
  return {
    clickhouse: worst?.state ?? "unavailable",
    retries: inserters.reduce((sum, { retries }) => sum + retries, 0),
    lastError: worst?.lastError ?? null,
    diskShortage: inserters.find(({ diskShortage }) => diskShortage)?.diskShortage ?? null,
    deadLetterFailure: inserters.find(({ deadLetterFailure }) => deadLetterFailure !== null)?.deadLetterFailure ?? null,
  };
}
