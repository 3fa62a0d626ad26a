import type { JSX } from "solid-js";
import { useApp } from "../app/context.tsx";
import { dashes, seriesColor } from "./palette.ts";

/** A short piece of a chart's line, in its colour and dash. */
export function Swatch(props: {
  slot: number /** In place of the slot's own. */;
  dash?: readonly number[];
}): JSX.Element {
  const { preferences } = useApp();
  return (
    <svg class="swatch" viewBox="0 0 18 8" aria-hidden="true">
      <line
        x1="0"
        y1="4"
        x2="18"
        y2="4"
        stroke={seriesColor(props.slot, preferences.dark())}
        stroke-width="2.5"
        stroke-dasharray={(props.dash ?? dashes[props.slot])?.join(" ") ?? ""}
      />
    </svg>
  );
}
