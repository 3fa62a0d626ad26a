/** What one check found. `note`: works, and could be better; `bad`: does not work, or loses what it should not. */
export interface Finding {
  readonly what: string;
  readonly state: "ok" | "note" | "bad";
  readonly detail: string;
  /** What to do about it. */
  readonly advice?: string;
}

export const ok = (what: string, detail: string): Finding => ({ what, state: "ok", detail });
export const note = (what: string, detail: string, advice: string): Finding => ({
  what,
  state: "note",
  detail,
  advice,
});
export const bad = (what: string, detail: string, advice: string): Finding => ({ what, state: "bad", detail, advice });

/** Expected failures of systems are findings: their text. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? `${error.message} (${error.code})` : error.message;
}
