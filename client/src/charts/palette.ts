/**
 * Okabe and Ito's colours, which people with any common colour vision can tell apart, darkened for a light ground and
 * lightened for a dark one until each has 3:1 against it. Dashes are the second sign beside the colour.
 * Source: Okabe & Ito, "Color Universal Design" (2008).
 */
export const palette = {
  light: ["#0072b2", "#c2510a", "#00805c", "#b0478a", "#8a6a00", "#2a7fb8", "#7a4fc4", "#6b5b4a"],
  dark: ["#4aa8e8", "#ff8a4c", "#2fc99b", "#e58cc2", "#e6b84a", "#8fd0f5", "#b497f0", "#c9b79f"],
} as const;
const restColor = { light: "#6b7684", dark: "#8b97a5" } as const;
/** The accent of styles.css: a canvas does not see CSS variables, and asking for them costs a style pass. */
export const sparklineColor = { light: "#0b6b8a", dark: "#4cc3e6" } as const;
export const seriesMax: number = palette.light.length;

/** In pixels; empty is a solid line. */
export const dashes: readonly (readonly number[])[] = [[], [], [], [], [7, 3], [7, 3], [2, 3], [2, 3]];

export function seriesColor(slot: number, dark: boolean): string {
  const theme = dark ? "dark" : "light";
  return slot < 0 ? restColor[theme] : palette[theme][slot % seriesMax]!;
}

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
