import { type ErrorCode, errorStatus } from "../../contract/error.ts";
import type { Answer } from "./document.ts";

const schema = { $ref: "#/components/schemas/ErrorAnswer" };

/** Error answers, one a status, with the codes that come under it. */
export function errorAnswers(...codes: ErrorCode[]): Record<string, Answer> {
  const byStatus = Map.groupBy(codes, (code) => errorStatus[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      String(status),
      { description: group.map((code) => `\`${code}\``).join(", "), content: { "application/json": { schema } } },
    ]),
  );
}
