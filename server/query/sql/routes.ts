import { Elysia } from "elysia";
import { Compile } from "typebox/compile";
import { limits } from "../../../contract/limits.ts";
import { type SqlAnswer, SqlQuestion } from "../../../contract/sql.ts";
import { readJson } from "../../http/json-body.ts";
import { readParameters } from "../parameters.ts";
import { answer, jsonAnswer, Refusal } from "../refusal.ts";
import type { SqlRunner } from "./sql-runner.ts";

const question = Compile(SqlQuestion);
/** Of UTF-8, and what JSON escapes. */
const bodyMaxBytes = 6 * limits.sqlCharacters + 1_024;

/** POST /api/sql. */
export function createSqlRoutes({ runner }: { readonly runner: SqlRunner }) {
  return new Elysia({ name: "sql" }).post(
    "/api/sql",
    ({ request }) =>
      answer(request, async (signal) => {
        readParameters(new URL(request.url), {});
        return jsonAnswer<SqlAnswer>(await runner.run(await readQuestion(request), signal));
      }),
    { parse: "none" },
  );
}

async function readQuestion(request: Request): Promise<SqlQuestion> {
  const body = await readJson(request, bodyMaxBytes);
  if (!body.ok) throw new Refusal(body.code, body.message);
  const { value } = body;
  if (question.Check(value)) return value;
  const [fault] = question.Errors(value);
  throw new Refusal("invalid_body", `${fault?.instancePath.slice(1) || "the body"} ${fault?.message ?? "is wrong"}`);
}
