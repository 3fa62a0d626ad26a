import { createEffect, type JSX, on, onCleanup } from "solid-js";
import { useApp } from "../app/context.tsx";
import { accentColor } from "./ink.ts";
import { drawSparkline, type SparklineSize } from "./sparkline.ts";

/** Seconds a sparkline looks back. */
const sparklineSeconds = 120;
const shared = new Float32Array(sparklineSeconds);

/** The rate of one type over the last two minutes, redrawn once a second while it can be seen. */
export function LiveSparkline(props: { type: string; visible: () => boolean; fill?: boolean }): JSX.Element {
  const { live, preferences } = useApp();
  let canvas!: HTMLCanvasElement;
  let size: SparklineSize | undefined;
  let drawn = false;
  const draw = (): void => {
    if (!size || !props.visible() || (live.mode() === "pause" && drawn)) return;
    live.rings.copyLast(props.type, sparklineSeconds, shared);
    drawSparkline(canvas, size, shared, accentColor(preferences.dark()), props.fill === true);
    drawn = true;
  };
  createEffect(on([live.nowMs, live.rows, () => props.visible()], draw));
  createEffect(
    on(
      preferences.dark,
      () => {
        drawn = false;
        draw();
      },
      { defer: true },
    ),
  );
  // Asking each canvas for its size would lay the page out again for every row.
  const observer = new ResizeObserver(([entry]) => {
    size = entry?.contentRect;
    drawn = false;
    draw();
  });
  createEffect(() => observer.observe(canvas));
  onCleanup(() => observer.disconnect());
  return <canvas class="sparkline" classList={{ unseen: !props.visible() }} ref={canvas} />;
}
