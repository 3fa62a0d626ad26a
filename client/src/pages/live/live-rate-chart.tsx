import { createEffect, createSignal, type JSX, on, onCleanup, untrack } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { chartInk } from "../../charts/ink.ts";
import { dashes, seriesColor, seriesMax } from "../../charts/palette.ts";
import { makeTimeChart, type TimeChart } from "../../charts/time-chart.ts";
import { totalName } from "../../live/live.ts";
import { formatCompact } from "../../ui/format.ts";

/** As often as the line moves by a pixel, between four times a second, which is smooth, and twice, which is still live. */
const redrawMinMs = 250;
const redrawMaxMs = 500;

/** Events per second of the largest types, and of all the others together as one grey line. */
export default function LiveRateChart(props: {
  slots: Map<string, number>;
  seconds: number;
  label: string;
}): JSX.Element {
  const { live, preferences } = useApp();
  const [hovered, setHovered] = createSignal(false);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;
  let drawnAtMs = 0;
  let withRest = false;
  let types: string[] = [];
  let buffers: (number | null)[][] = [];
  const values = new Float32Array(live.rings.seconds);

  const draw = (): void => {
    if (!chart) return;
    const edge = live.edgeSeconds();
    if (!Number.isFinite(edge)) return;
    const count = untrack(() => props.seconds);
    drawnAtMs = performance.now();
    const offset = live.rings.newest() - edge;
    const rest: (number | null)[] | undefined = withRest ? buffers[buffers.length - 1] : undefined;
    const names = [...types, totalName];
    names.forEach((name, column) => {
      live.rings.copyLast(name, Math.min(count + offset, live.rings.seconds), values);
      const target = name === totalName ? rest : buffers[column + 1];
      if (!target) return;
      target.length = count;
      for (let at = 0; at < count; at++) {
        const value = values[at]!;
        target[at] = Number.isNaN(value) ? null : value;
      }
    });
    const seconds = buffers[0]!;
    seconds.length = count;
    for (let at = 0; at < count; at++) seconds[at] = edge - count + 1 + at;
    if (rest) {
      for (let at = 0; at < count; at++) {
        let left = rest[at];
        if (left === null || left === undefined) continue;
        for (let column = 1; column <= types.length; column++) left -= buffers[column]![at] ?? 0;
        rest[at] = Math.max(0, left);
      }
    }
    chart.setData(buffers, edge - count + 1, edge);
  };

  createEffect(
    on(
      [() => props.slots, preferences.dark, preferences.zone, () => live.rows().length > seriesMax],
      ([slots, dark, zone, rest]) => {
        chart?.stop();
        types = [...slots.keys()];
        withRest = rest;
        buffers = [[], ...types.map(() => []), ...(rest ? [[]] : [])];
        chart = makeTimeChart(host, {
          series: [
            ...types.map((type) => ({
              label: type,
              color: seriesColor(slots.get(type)!, dark),
              dash: dashes[slots.get(type)!] ?? [],
            })),
            ...(rest ? [{ label: "all others", color: seriesColor(-1, dark), width: 1 }] : []),
          ],
          zone,
          zeroBased: true,
          formatY: formatCompact,
          ink: chartInk(host),
        });
        draw();
      },
    ),
  );
  createEffect(on(() => props.seconds, draw, { defer: true }));
  onCleanup(
    live.onFlush(() => {
      // A chart under the pointer holds still to be read, unless told to play on.
      if (hovered() && live.mode() !== "force") return;
      const pixelMs = (props.seconds * 1000) / Math.max(1, chart?.width() ?? 1);
      const everyMs = calm ? 1_000 : Math.min(redrawMaxMs, Math.max(redrawMinMs, pixelMs));
      if (performance.now() - drawnAtMs >= everyMs) draw();
    }),
  );
  onCleanup(() => chart?.stop());

  return (
    <div
      class="chart"
      role="img"
      aria-label={props.label}
      data-held={hovered() && live.mode() === "play" ? "" : undefined}
      onPointerEnter={() => setHovered(true)}
      onPointerLeave={() => setHovered(false)}
    >
      <div class="chart-host" ref={host} />
    </div>
  );
}
