/** Entry of the writer thread. */
import { openDiskJournal } from "../journal/disk.ts";
import { realFiles } from "../journal/files.ts";
import { RingConsumer } from "../ring/ring.ts";
import { createRowStore } from "./clickhouse.ts";
import { openDeadLetterFile } from "./dead-letter.ts";
import { createInserter } from "./inserter.ts";
import type { FromWriter, ToWriter, WriterOptions } from "./messages.ts";
import { createWriter, type Writer } from "./writer.ts";

declare const self: Worker;

const post = (message: FromWriter, transfer: Transferable[] = []): void => self.postMessage(message, transfer);
const log: Parameters<typeof createWriter>[0]["log"] = (level, message, fields = {}) =>
  post({ type: "log", level, message, fields });

async function start(options: WriterOptions): Promise<(message: ToWriter) => void> {
  const deadLetters = openDeadLetterFile(options.deadLetterDirectory, options.deadLetterMaxBytes, () => new Date());
  const { journal, keys } = await openDiskJournal({
    files: realFiles,
    directory: options.journalDirectory,
    maxBytes: options.journalMaxBytes,
    nowMs: Date.now,
    log,
  });
  const writer: Writer = createWriter(
    { ring: new RingConsumer(options.ring), journal, now: Date.now, post, log },
    options,
  );
  post({
    type: "ready",
    recovered: journal.sealed.map((batch) => batch.rowCount),
    keys,
    deadLetters: deadLetters.count,
  });
  writer.wake();

  return (message) => {
    switch (message.type) {
      case "wake":
        return writer.wake();
      case "query":
        return writer.query(message.id, message.sql);
      case "recovered_taken":
        return writer.recoveredTaken();
      case "clickhouse": {
        const store = createRowStore(message.address, options.insertTimeoutMs);
        const inserter = createInserter(
          {
            store,
            deadLetters,
            log,
            now: Date.now,
            random: Math.random,
            pause: (ms) => Promise.race([Bun.sleep(ms), writer.stopping]),
            onStatus: () => writer.postStatus(),
          },
          { ...options, database: message.address.database },
        );
        return writer.connect(store, inserter);
      }
      case "stop":
        void writer.stop(message.timeoutMs).then((leftRows) => {
          deadLetters.close();
          post({ type: "stopped", leftRows });
          self.onmessage = null;
        });
    }
  };
}

let handle: Promise<(message: ToWriter) => void> | undefined;
self.onmessage = (event: MessageEvent<ToWriter>) => {
  const message = event.data;
  if (message.type === "start") {
    handle = start(message.options);
    handle.catch((error: unknown) =>
      post({ type: "failed", message: error instanceof Error ? error.message : String(error) }),
    );
  } else {
    void handle?.then((take) => take(message));
  }
};
