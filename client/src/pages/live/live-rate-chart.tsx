import { createEffect, createSignal, type JSX, on, onCleanup, untrack } from "solid-js";
import { useApp } from "../../app/context.tsx";
import type { AlertMark } from "../../charts/alert-marks.ts";
import { chartInk } from "../../charts/ink.ts";
import { dashes, seriesColor } from "../../charts/palette.ts";
import { makeTimeChart, type TimeChart } from "../../charts/time-chart.ts";
import { totalName } from "../../live/live-rings.ts";
import { formatCompact } from "../../ui/format.ts";
import { createRateColumns, restName } from "./rate-columns.ts";

/** As often as the line moves by a pixel, between four times a second, which is smooth, and twice, which is still live. */
const redrawMinMs = 250;
const redrawMaxMs = 500;

/** Events per second of the largest types, and of all the others together as one grey line. */
export default function LiveRateChart(props: {
  /** The lines in their order, each with its colour's slot; `restName` is what the others sum up to. */
  slots: ReadonlyMap<string, number>;
  /** Of `slots`, the ones that are drawn. */
  shown: readonly string[];
  highlighted: string | undefined;
  seconds: number;
  /** Nobody has chosen the range: it begins where the data does. */
  fit: boolean;
  label: string;
  marks: readonly AlertMark[];
  onHover(hovered: boolean): void;
  /** Of each line under the crosshair; undefined: it has left. */
  onValues(values: Readonly<Record<string, string>> | undefined): void;
  onZoom(fromSecond: number, toSecond: number): void;
  onReset(): void;
}): JSX.Element {
  const { live, preferences } = useApp();
  const [hovered, setHovered] = createSignal(false);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const columns = createRateColumns(live.rings);
  let host!: HTMLDivElement;
  let chart: TimeChart | undefined;
  let drawnAtMs = 0;
  let drawn: (number | null)[][] = [];

  const draw = (): void => {
    const edge = live.edgeSeconds();
    if (!chart || !Number.isFinite(edge)) return;
    const count = untrack(() => (props.fit ? columns.fitted(props.seconds, edge) : props.seconds));
    drawnAtMs = performance.now();
    drawn = columns.fill(count, edge);
    chart.setData(drawn, edge - count + 1, edge);
  };
  const tellValues = (column: number | null): void => {
    if (column === null) props.onValues(undefined);
    else
      props.onValues(
        Object.fromEntries(props.shown.map((name, index) => [name, formatCompact(drawn[index + 1]?.[column])])),
      );
  };
  const setLines = (dark: boolean): void => {
    const shown = props.shown;
    const types = [...props.slots.keys()].filter((type) => type !== restName);
    columns.setNames(
      shown.map((name) => (name === restName ? totalName : name)),
      types,
    );
    chart?.setSeries(
      shown.map((name) => {
        const slot = props.slots.get(name) ?? -1;
        return {
          label: name,
          color: seriesColor(slot, dark),
          ...(name === restName ? { width: 1 } : { dash: dashes[slot] ?? [] }),
        };
      }),
    );
    draw();
  };

  createEffect(
    on([preferences.dark, preferences.zone], ([dark, zone]) => {
      chart?.stop();
      chart = makeTimeChart(host, {
        zone,
        zeroBased: true,
        formatY: formatCompact,
        ink: chartInk(host),
        group: "page",
        onZoom: props.onZoom,
        onReset: props.onReset,
        onCursor: tellValues,
      });
      setLines(dark);
      chart.setMarks(untrack(() => props.marks));
    }),
  );
  // The lines change inside the chart: under a pointer it stays, and so does its tooltip.
  createEffect(on([() => props.slots, () => props.shown], () => setLines(untrack(preferences.dark)), { defer: true }));
  createEffect(
    on(
      () => props.marks,
      (marks) => chart?.setMarks(marks),
      { defer: true },
    ),
  );
  createEffect(on(() => props.seconds, draw, { defer: true }));
  createEffect(
    on(
      () => props.highlighted,
      (name) => chart?.highlight(name),
      { defer: true },
    ),
  );
  createEffect(on(hovered, (on) => props.onHover(on), { defer: true }));
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
      data-alerts={props.marks.length || undefined}
      data-held={hovered() && live.mode() === "play" ? "" : undefined}
      onPointerEnter={() => setHovered(true)}
      onPointerLeave={() => setHovered(false)}
    >
      <div class="chart-host" ref={host} />
    </div>
  );
}
