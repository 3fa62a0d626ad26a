import { Elysia } from "elysia";
import { Compile } from "typebox/compile";
import { type Session, SignIn } from "../../contract/session.ts";
import { errorResponse } from "../http/errors.ts";
import { refuseParametersBut } from "../http/parameters.ts";
import type { AccessControl } from "./access.ts";

const signIn = Compile(SignIn);
const bodyMaxBytes = 4096;
const noStore = { "Cache-Control": "no-store" };

/** /api/session: who one is, sign-in with a viewer key, sign-out. Needs no viewer. */
export function createSessionRoutes(deps: {
  readonly access: AccessControl;
  readonly addressOf: (request: Request) => string;
}) {
  const { access } = deps;
  const answer = (session: Session, headers: Record<string, string> = {}): Response =>
    Response.json(session, { headers: { ...noStore, ...headers } });

  return new Elysia({ name: "session" })
    .onBeforeHandle(refuseParametersBut([]))
    .get("/api/session", ({ request }) => {
      const viewer = access.viewer(request);
      const required = access.viewersNeeded;
      if (viewer instanceof Response) return answer({ required, viewer: null, editor: false });
      return answer({ required, viewer: viewer.name || null, editor: viewer.editor });
    })
    .post(
      "/api/session",
      async ({ request }) => {
        // A page of another site can have a form sent here, but not as JSON.
        if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
          return errorResponse("unsupported_media_type", "Content-Type must be application/json");
        }
        const declared = request.headers.get("content-length");
        if (declared === null || Number(declared) > bodyMaxBytes) {
          return errorResponse("body_too_large", `the body has a Content-Length of at most ${bodyMaxBytes}`);
        }
        const given = parseJson(await request.text());
        if (!signIn.Check(given)) return errorResponse("malformed_request", 'the body is {"key": "…"}');
        if (!access.signInPossible) return answer({ required: false, viewer: null, editor: true });
        const result = access.signIn(given.key, deps.addressOf(request));
        return result.ok
          ? answer(
              { required: access.viewersNeeded, viewer: result.viewer, editor: result.editor },
              { "Set-Cookie": result.cookie },
            )
          : result.response;
      },
      { parse: "none" },
    )
    .delete("/api/session", ({ request }) => {
      const removal = access.signOut(request);
      return new Response(null, { status: 204, headers: { ...noStore, "Set-Cookie": removal } });
    });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
