/** What a running program says: one line rewritten in place on a terminal, a line now and then elsewhere. */
interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

interface StatusLine {
  /** The present state; off a terminal all but one every `quietMs` are left out. */
  status(text: string): void;
  /** A line that stays. */
  say(text: string): void;
  /** Ends the rewritten line. */
  close(): void;
}

const eraseLine = "\r\x1b[2K";
const usualColumns = 80;

export function createStatusLine(output: Output, options: { quietMs: number; now: () => number }): StatusLine {
  const terminal = output.isTTY === true;
  let open = false;
  // The first one comes after `quietMs` too: at the start there is nothing to tell yet.
  let saidAtMs = options.now();
  const finish = () => {
    if (open) output.write("\n");
    open = false;
  };
  return {
    status(text) {
      if (terminal) {
        // A line that wraps cannot be erased.
        output.write(eraseLine + text.slice(0, (output.columns ?? usualColumns) - 1));
        open = true;
      } else if (options.now() - saidAtMs >= options.quietMs) {
        saidAtMs = options.now();
        output.write(`${text}\n`);
      }
    },
    say(text) {
      if (open) output.write(eraseLine);
      open = false;
      output.write(`${text}\n`);
    },
    close: finish,
  };
}
