import type { Update } from "../../../contract/stream.ts";
import { isUpdate } from "../live/update.ts";

/** What an offline reload can show: the last update, when it arrived, and the chart as it was. */
interface Kept {
  /** Epoch ms, browser's clock. */
  atMs: number;
  update: Update;
  rings: Record<string, (number | null)[]>;
}

export interface KeptData {
  /** Undefined when there is none, or when an older version of the page kept it in another shape. */
  load(): Kept | undefined;
  /** Best effort: a full or forbidden storage costs the offline view, nothing else. */
  save(kept: Kept): void;
  clear(): void;
}

const key = "sluice:last";

/**
 * Local storage rather than IndexedDB, because it can still be written while the page is being closed, which is the
 * moment that matters. It is some tens of kilobytes, written every half minute.
 */
export function createKeptData(storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined): KeptData {
  return {
    load() {
      const text = storage?.getItem(key);
      if (!text) return undefined;
      return parseKept(text);
    },
    save(kept) {
      try {
        storage?.setItem(key, JSON.stringify(kept));
      } catch (error) {
        if (!(error instanceof DOMException)) throw error;
        storage?.removeItem(key);
      }
    },
    clear: () => storage?.removeItem(key),
  };
}

function parseKept(text: string): Kept | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { atMs, update, rings } = value as { [name in keyof Kept]?: unknown };
  if (typeof atMs !== "number" || !isUpdate(update) || typeof rings !== "object" || rings === null) return undefined;
  const lines: Kept["rings"] = {};
  for (const [name, values] of Object.entries(rings)) {
    if (Array.isArray(values)) lines[name] = values.map((each: unknown) => (typeof each === "number" ? each : null));
  }
  return { atMs, update, rings: lines };
}
