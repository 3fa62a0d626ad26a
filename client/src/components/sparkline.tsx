import { createEffect, type JSX, on } from "solid-js";
import { drawSparkline } from "../charts/sparkline.ts";
import { useApp } from "../context.tsx";

/** Seconds a sparkline looks back. */
export const sparklineSeconds = 120;
const shared = new Float32Array(sparklineSeconds);

/** The rate of one type over the last two minutes, redrawn once a second while it can be seen. */
export function Sparkline(props: { type: string; visible: () => boolean; fill?: boolean }): JSX.Element {
  const { live, preferences } = useApp();
  let canvas!: HTMLCanvasElement;
  let drawn = false;
  createEffect(
    on([live.nowMs, live.rows, preferences.dark, () => props.visible()], ([, , , visible]) => {
      if (!visible || (live.mode() === "pause" && drawn)) return;
      live.rings.copyLast(props.type, sparklineSeconds, shared);
      drawSparkline(canvas, shared, getComputedStyle(canvas).color, props.fill === true);
      drawn = true;
    }),
  );
  return <canvas class="sparkline" classList={{ unseen: !props.visible() }} ref={canvas} />;
}
