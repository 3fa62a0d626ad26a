const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const written = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;

/** Milliseconds of `500ms`, `30s`, `1.5h`; undefined when it is not written so. */
export function parseDuration(text: string): number | undefined {
  const match = written.exec(text);
  const unitMs = match && unitsMs[match[2] as string];
  return unitMs ? Math.round(Number(match[1]) * unitMs) : undefined;
}
