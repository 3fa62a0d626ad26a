import { type Accessor, createMemo, createSignal } from "solid-js";

export interface LegendState {
  /** The names that are drawn, in their order. */
  shown: Accessor<readonly string[]>;
  isShown(name: string): boolean;
  /** A click shows this line alone, and a second one all of them; with a modifier key it is only switched. */
  press(name: string, modifier: boolean): void;
  /** The name under the pointer. */
  hovered: Accessor<string | undefined>;
  hover(name: string | undefined): void;
}

/** The names that stay after a press. Pure, because it is what the legend promises. */
export function pressed(
  hidden: ReadonlySet<string>,
  names: readonly string[],
  name: string,
  modifier: boolean,
): Set<string> {
  if (modifier) {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    // Nothing at all is never what somebody wants to see.
    return names.every((each) => next.has(each)) ? new Set() : next;
  }
  const others = names.filter((each) => each !== name);
  const alone = !hidden.has(name) && others.every((each) => hidden.has(each));
  return alone ? new Set() : new Set(others);
}

/** Must be called under a Solid owner. */
export function createLegend(names: Accessor<readonly string[]>): LegendState {
  const [hidden, setHidden] = createSignal<ReadonlySet<string>>(new Set());
  const [hovered, hover] = createSignal<string>();
  const shown = createMemo(() => {
    const visible = names().filter((name) => !hidden().has(name));
    return visible.length === 0 ? names() : visible;
  });
  return {
    shown,
    isShown: (name) => shown().includes(name),
    press: (name, modifier) => setHidden(pressed(hidden(), names(), name, modifier)),
    hovered,
    hover,
  };
}
