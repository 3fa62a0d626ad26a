export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Record<string, string | number | boolean | null | undefined>;
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** One line a message on standard error: for people on a terminal, JSON elsewhere. */
export function createLog(options: {
  level: LogLevel;
  /** Empty: pretty on a terminal, else JSON. */
  format: "" | "pretty" | "json";
  isTerminal: boolean;
  write: (line: string) => void;
  now: () => Date;
}): Log {
  const pretty = options.format === "pretty" || (options.format === "" && options.isTerminal);
  return (level, message, fields = {}) => {
    if (order[level] < order[options.level]) return;
    const time = options.now().toISOString();
    if (pretty) {
      const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
      options.write(`${time} ${level.toUpperCase().padEnd(5)} ${message}${rest.join("")}\n`);
    } else {
      options.write(`${JSON.stringify({ time, level, message, ...fields })}\n`);
    }
  };
}
