import type { Log } from "../../base/log.ts";
import type { Journal } from "../journal/journal.ts";
import type { FromWriter } from "../protocol.ts";
import type { RingConsumer } from "../ring/ring.ts";

/** What the writer is given; each of its parts adds the parts that it works with. */
export interface WriterDeps {
  readonly ring: RingConsumer;
  readonly journal: Journal;
  readonly now: () => number;
  /** Milliseconds from any start; never goes back. */
  readonly monotonicNow: () => number;
  readonly post: (message: FromWriter, transfer?: Transferable[]) => void;
  readonly log: Log;
}
