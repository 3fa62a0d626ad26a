import Type, { type Static } from "typebox";

/** GET /api/session, and the answer to a sign-in. */
export const Session = Type.Object({
  required: Type.Boolean({ description: "reading needs a viewer: VIEWER_KEYS is set" }),
  viewer: Type.Union([Type.String(), Type.Null()], { description: "who is signed in; null: nobody" }),
  editor: Type.Boolean({ description: "may change alert rules, silences, channels, saved views and links" }),
});
export type Session = Static<typeof Session>;

/** POST /api/session */
export const SignIn = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 512, description: "the secret of a viewer or editor key" }) },
  { additionalProperties: false },
);
export type SignIn = Static<typeof SignIn>;
