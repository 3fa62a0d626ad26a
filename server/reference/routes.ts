import { openapi } from "@elysiajs/openapi";
import { Elysia } from "elysia";
import { refuseParametersBut } from "../http/parameters.ts";
import { openapiVersion } from "./document.ts";
import { createApiDocument } from "./openapi.ts";
import { renderReference } from "./openapi-page.ts";

/**
 * GET /openapi and /openapi/json. The plugin's own page is a script from a CDN, which neither the content security policy nor a
 * machine without the internet would load; ours is plain HTML.
 */
export function createReferenceRoutes(options: { readonly version: string }) {
  const document = createApiDocument(options.version);
  const page = renderReference(document);
  return new Elysia({ name: "reference" })
    .onBeforeHandle(refuseParametersBut([]))
    .get(
      "/openapi",
      () =>
        new Response(page.html, {
          headers: {
            "Content-Type": "text/html; charset=utf-8",
            "Cache-Control": "no-cache",
            "Content-Security-Policy": page.contentSecurityPolicy,
          },
        }),
    )
    .use(
      openapi({
        provider: null,
        path: "/openapi",
        openapiVersion,
        exclude: { paths: [/./] },
        documentation: JSON.parse(JSON.stringify(document)),
      }),
    );
}
