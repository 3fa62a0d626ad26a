/** A failure as ClickHouse words it, so that its clients can tell one from another. */
export interface Exception {
  code: number;
  /** `Code: 60. DB::Exception: … (UNKNOWN_TABLE)` */
  message: string;
}

/** The codes this front raises by itself; the engine raises the rest. */
export const CODES = {
  NOT_IMPLEMENTED: 48,
  UNKNOWN_SETTING: 115,
  READONLY: 164,
  TIMEOUT_EXCEEDED: 159,
  BAD_REQUEST_PARAMETER: 36,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  QUERY_WAS_CANCELLED: 394,
  TOO_LARGE: 229,
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
  QUERY_WITH_SAME_ID: 216,
  SESSION_NOT_FOUND: 372,
  SESSION_IS_LOCKED: 373,
  INVALID_SESSION_TIMEOUT: 374,
  HTTP_LENGTH_REQUIRED: 381,
  CANNOT_DECOMPRESS: 271,
  UNKNOWN_EXCEPTION: 1002,
} as const;

const NAMES: Readonly<Record<number, string>> = {
  [CODES.NOT_IMPLEMENTED]: "NOT_IMPLEMENTED",
  [CODES.UNKNOWN_SETTING]: "UNKNOWN_SETTING",
  [CODES.READONLY]: "READONLY",
  [CODES.TIMEOUT_EXCEEDED]: "TIMEOUT_EXCEEDED",
  [CODES.BAD_REQUEST_PARAMETER]: "BAD_ARGUMENTS",
  [CODES.TOO_MANY_SIMULTANEOUS_QUERIES]: "TOO_MANY_SIMULTANEOUS_QUERIES",
  [CODES.QUERY_WAS_CANCELLED]: "QUERY_WAS_CANCELLED",
  [CODES.TOO_LARGE]: "QUERY_IS_TOO_LARGE",
  [CODES.ACCESS_DENIED]: "ACCESS_DENIED",
  [CODES.AUTHENTICATION_FAILED]: "AUTHENTICATION_FAILED",
  [CODES.QUERY_WITH_SAME_ID]: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
  [CODES.SESSION_NOT_FOUND]: "SESSION_NOT_FOUND",
  [CODES.SESSION_IS_LOCKED]: "SESSION_IS_LOCKED",
  [CODES.INVALID_SESSION_TIMEOUT]: "INVALID_SESSION_TIMEOUT",
  [CODES.HTTP_LENGTH_REQUIRED]: "HTTP_LENGTH_REQUIRED",
  [CODES.CANNOT_DECOMPRESS]: "CANNOT_DECOMPRESS",
  [CODES.UNKNOWN_EXCEPTION]: "UNKNOWN_EXCEPTION",
};

export function createException(code: number, text: string): Exception {
  return { code, message: `Code: ${code}. DB::Exception: ${text} (${NAMES[code] ?? "UNKNOWN_EXCEPTION"})` };
}

/** Reads the code out of an engine's message. */
export function parseException(message: string): Exception {
  const code = /^Code: (\d+)\./.exec(message)?.[1];
  return code === undefined
    ? createException(CODES.UNKNOWN_EXCEPTION, message)
    : { code: Number(code), message: message.trimEnd() };
}

/** The HTTP status ClickHouse gives an exception; from its `exceptionCodeToHTTPStatus.cpp`. */
export function statusOfException(code: number): number {
  return STATUS_BY_CODE.get(code) ?? 500;
}

const STATUS_BY_CODE: ReadonlyMap<number, number> = new Map(
  (
    [
      [401, [194]],
      [403, [192, 193, 497, 512, 516]],
      [
        400,
        [6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676],
      ],
      [404, [46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511]],
      [408, [159]],
      [411, [381]],
      [413, [229]],
      [415, [779]],
      [501, [48]],
      [503, [76, 209, 439]],
    ] as const
  ).flatMap(([status, codes]) => codes.map((code) => [code, status] as const)),
);
