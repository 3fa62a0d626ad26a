/**
 * Found by a search around the hues of Okabe and Ito ("Color Universal Design", 2008) for the largest distance between
 * any two, seen with full and with three kinds of colour-blind vision, while each has 3:1 against its ground;
 * palette.test.ts holds the distances. Dashes are the second sign beside the colour.
 */
export const palette = {
  light: ["#3068a3", "#d04712", "#3ca291", "#7b0044", "#b78b13", "#004062", "#8263e7", "#714f29"],
  dark: ["#417dd3", "#e68e2b", "#2bc4a1", "#b75f7d", "#937e30", "#6adeff", "#ad91f4", "#ebca9d"],
} as const;
const restColor = { light: "#6b7684", dark: "#8b97a5" } as const;
export const seriesMax: number = palette.light.length;

/** In pixels; empty is a solid line. */
export const dashes: readonly (readonly number[])[] = [[], [], [], [], [7, 3], [7, 3], [2, 3], [2, 3]];

export function seriesColor(slot: number, dark: boolean): string {
  const theme = dark ? "dark" : "light";
  return slot < 0 ? restColor[theme] : palette[theme][slot % seriesMax]!;
}

/** The lines of a type's quantiles, wherever they are drawn and in every legend. */
export const quantileLines = [
  { figure: "p99", slot: 1, dash: [2, 3] },
  { figure: "p95", slot: 4, dash: [7, 3] },
  { figure: "p50", slot: 0, dash: [] },
] as const;

export interface SlotKeeper {
  /** Gives each type its slot; a type keeps its slot for as long as it is among those given. */
  assign(types: readonly string[]): Map<string, number>;
}

/** A line never changes its colour because another one has overtaken it. */
export function createSlotKeeper(slots = seriesMax): SlotKeeper {
  let held = new Map<string, number>();
  return {
    assign(types) {
      const wanted = types.slice(0, slots);
      const next = new Map<string, number>();
      const free = new Set(Array.from({ length: slots }, (_, slot) => slot));
      for (const type of wanted) {
        const slot = held.get(type);
        if (slot !== undefined) {
          next.set(type, slot);
          free.delete(slot);
        }
      }
      for (const type of wanted) {
        if (next.has(type)) continue;
        const [slot] = free;
        next.set(type, slot!);
        free.delete(slot!);
      }
      held = next;
      return next;
    },
  };
}
