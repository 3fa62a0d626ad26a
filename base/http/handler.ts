/** Answers any request. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** Why a connection is answered without its handler. */
export type Unacceptable =
  | "syntax"
  | "head_too_large"
  | "version"
  | "host"
  /** The head did not arrive in time. */
  | "late"
  /** The client half-closed in the middle of a head. */
  | "early"
  | "too_many_connections";
