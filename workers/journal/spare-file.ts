import type { Log } from "../../base/log.ts";
import type { Files } from "./files.ts";

/** Not a segment's name, so that neither a start nor a backup takes it for one. */
export const spareName = "spare.new";

/** The next segment may become larger than the last. */
const margin = 1.5;

export interface SpareSizes {
  /** After a smaller segment none is prepared: no flush is in another's way, and zeros would be most of what is written. */
  readonly segmentMinBytes: number;
  /** Nor after a larger one: it comes in large groups, whose flushes take their time anyway. */
  readonly segmentMaxBytes: number;
  readonly roundToBytes: number;
}

const everydaySizes: SpareSizes = { segmentMinBytes: 128 << 10, segmentMaxBytes: 8 << 20, roundToBytes: 64 << 10 };

export interface SpareFileDeps {
  readonly files: Files;
  readonly directory: string;
  readonly log: Log;
  readonly spareSizes?: SpareSizes;
}

/**
 * A file of zeros for the next segment. To flush bytes that replace others in a file takes half as long as to flush bytes by which
 * it grows, and does not wait for the file system's own journal, which everybody's syncs keep busy.
 * docs/decisions/123-segments-in-prepared-files.md.
 */
export class SpareFile {
  readonly #deps: SpareFileDeps;
  readonly #path: string;
  readonly #sizes: SpareSizes;
  #state: "none" | "preparing" | "ready" = "none";
  #bytes = 0;
  #closed = false;

  constructor(deps: SpareFileDeps) {
    this.#deps = deps;
    this.#path = `${deps.directory}/${spareName}`;
    this.#sizes = deps.spareSizes ?? everydaySizes;
  }

  /** What it takes on the disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Begins to write one that suits a segment like the last, within `roomBytes`; does nothing where one is there, or none would help. */
  prepare(lastSegmentBytes: number, roomBytes: number): void {
    const { segmentMinBytes, segmentMaxBytes, roundToBytes } = this.#sizes;
    if (this.#state !== "none" || lastSegmentBytes < segmentMinBytes || lastSegmentBytes > segmentMaxBytes) return;
    const bytes = Math.ceil((lastSegmentBytes * margin) / roundToBytes) * roundToBytes;
    if (bytes > roomBytes) return;
    this.#state = "preparing";
    this.#bytes = bytes;
    void this.#deps.files.prepare(this.#path, bytes).then(
      () => {
        this.#state = "ready";
        if (this.#closed) this.#remove();
      },
      (error: unknown) => {
        this.#state = "none";
        this.#bytes = 0;
        this.#deps.log("debug", "no file could be prepared for the next segment", { error: String(error) });
      },
    );
  }

  /** Gives it this name, and says how long it is; 0: there is none yet, or it cannot be had. */
  take(path: string): number {
    if (this.#state !== "ready") return 0;
    try {
      this.#deps.files.rename(this.#path, path);
    } catch (error) {
      this.#deps.log("debug", "the file that was prepared for a segment cannot be used", { error: String(error) });
      this.#remove();
      return 0;
    }
    const bytes = this.#bytes;
    this.#state = "none";
    this.#bytes = 0;
    return bytes;
  }

  close(): void {
    this.#closed = true;
    if (this.#state === "ready") this.#remove();
  }

  #remove(): void {
    this.#state = "none";
    this.#bytes = 0;
    try {
      this.#deps.files.remove(this.#path);
    } catch (error) {
      // The next start removes it.
      this.#deps.log("debug", "a prepared file stays", { error: String(error) });
    }
  }
}
