import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";

/** What an engine process is told, as one JSON line on its standard input: argv and environment are there for all to read. */
export const EngineProcessOptions = Type.Object(
  {
    dataDir: Type.String({ minLength: 1 }),
    /** 0: any free one. */
    port: Type.Integer({ minimum: 0, maximum: 65535 }),
    user: Type.String({ minLength: 1 }),
    password: Type.String({ minLength: 1 }),
    database: Type.String({ minLength: 1 }),
    memoryBytes: Type.Integer({ minimum: 256 * 1024 * 1024 }),
    shutdownTimeoutMs: Type.Integer({ minimum: 0 }),
    /** Serve on after standard input has ended: for an engine that nobody supervises. */
    detached: Type.Boolean(),
  },
  { additionalProperties: false },
);

export type EngineProcessOptions = Static<typeof EngineProcessOptions>;

/** What an engine process says, one JSON line each, on its standard output. */
export const EngineProcessMessage = Type.Union([
  Type.Object({ kind: Type.Literal("ready"), port: Type.Integer(), version: Type.String() }),
  /** It ends after this. All but `engine` is for people to mend. */
  Type.Object({
    kind: Type.Literal("refused"),
    cause: Type.Union([
      Type.Literal("options"),
      Type.Literal("port_in_use"),
      Type.Literal("folder_in_use"),
      Type.Literal("engine"),
    ]),
    reason: Type.String(),
  }),
  /** A question has been waiting for its answer for a while; false: none does any more. */
  Type.Object({ kind: Type.Literal("asked"), waiting: Type.Boolean() }),
  Type.Object({
    kind: Type.Literal("log"),
    level: Type.Union([Type.Literal("info"), Type.Literal("warn")]),
    message: Type.String(),
  }),
]);

export type EngineProcessMessage = Static<typeof EngineProcessMessage>;

const DEFAULTS = {
  user: "default",
  database: "default",
  memoryBytes: 2 * 1024 * 1024 * 1024,
  shutdownTimeoutMs: 10_000,
  detached: false,
};

const optionsCheck = Compile(EngineProcessOptions);
const messageCheck = Compile(EngineProcessMessage);

export function parseEngineProcessOptions(
  line: string,
): { ok: true; options: EngineProcessOptions } | { ok: false; reason: string } {
  const value = parseJson(line);
  if (typeof value !== "object" || value === null) return { ok: false, reason: "expected one line with a JSON object" };
  const full: unknown = { ...DEFAULTS, ...value };
  if (optionsCheck.Check(full)) return { ok: true, options: full };
  const first = optionsCheck.Errors(full)[0];
  // Only the place and the rule: the value may be the password.
  return { ok: false, reason: `option ${first?.instancePath || "/"}: ${first?.message ?? "not valid"}` };
}

/** `null` for what is not ours: libchdb prints to the same descriptor. */
export function parseEngineProcessMessage(line: string): EngineProcessMessage | null {
  const value = parseJson(line);
  return messageCheck.Check(value) ? value : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
