import Type, { type Static } from "typebox";
import { limits } from "./limits.ts";

/** What a saved view is made of. POST /api/views and PUT /api/views/ID take it. */
export const ViewBody = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: limits.viewNameCharacters }),
    path: Type.String({
      pattern: "^/(?!/)[^\\s\\\\]*$",
      maxLength: limits.viewPathCharacters,
      description: "the dashboard's page with its query: /explore?types=temperature&range=6h",
    }),
    pinned: Type.Optional(Type.Boolean()),
    requests: Type.Optional(
      Type.Array(Type.String({ pattern: "^/(api/|dashboard-stream)", maxLength: limits.viewPathCharacters }), {
        maxItems: limits.viewRequests,
        description:
          "what the page asks for to draw the view; a shared link may ask for these and nothing else, with from, to, step, limit and cursor free",
      }),
    ),
  },
  { additionalProperties: false },
);
export type ViewBody = Static<typeof ViewBody>;

export const ViewLink = Type.Object({
  id: Type.String(),
  url: Type.String({ description: "/shared/TOKEN" }),
  created_at: Type.String(),
  expires_at: Type.String(),
});
export type ViewLink = Static<typeof ViewLink>;

export const View = Type.Object({
  id: Type.String(),
  name: Type.String(),
  path: Type.String(),
  pinned: Type.Boolean(),
  requests: Type.Array(Type.String()),
  created_at: Type.String(),
  updated_at: Type.String(),
  created_by: Type.String(),
  links: Type.Array(ViewLink, {
    description: "those that have neither expired nor been revoked; empty for who may not edit",
  }),
});
export type View = Static<typeof View>;

/** GET /api/views: pinned ones first, then by name. */
export const Views = Type.Object({ views: Type.Array(View) });
export type Views = Static<typeof Views>;

/** POST /api/views/ID/links */
export const LinkBody = Type.Object(
  { expires: Type.String({ pattern: "^[1-9]\\d{0,3}[mhd]$", description: "30m, 12h, 7d; at most 366 days" }) },
  { additionalProperties: false },
);
export type LinkBody = Static<typeof LinkBody>;

/**
 * GET /shared/TOKEN is the page; /shared/TOKEN/view is this; what the view's `requests` name is below the same path:
 * /shared/TOKEN/api/history?…, /shared/TOKEN/dashboard-stream?….
 */
export const SharedView = Type.Object({
  name: Type.String(),
  path: Type.String(),
  requests: Type.Array(Type.String()),
  expires_at: Type.String(),
});
export type SharedView = Static<typeof SharedView>;
