import { createMemo, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { LiveSparkline } from "../../charts/live-sparkline.tsx";
import { totalName } from "../../live/live-rings.ts";
import { formatCount, formatDuration, formatRate, plural } from "../../ui/format.ts";
import type { ShownFleet } from "./shown-fleet.ts";

type Tone = "calm" | "warn" | "bad";

/** A number of the fleet, and the way to the list behind it. */
function Tile(props: {
  label: string;
  value: string;
  href: string;
  tone?: Tone;
  testId: string;
  note: JSX.Element;
}): JSX.Element {
  return (
    <a class="tile" href={props.href} data-tone={props.tone ?? "calm"}>
      <span class="tile-label">{props.label}</span>
      <span class="tile-value" data-testid={props.testId}>
        {props.value}
      </span>
      <span class="tile-note">{props.note}</span>
    </a>
  );
}

/** The state of the fleet in six numbers. With a filter, the first four are those of the filtered part. */
export function HealthTiles(props: { fleet: ShownFleet }): JSX.Element {
  const { live, router } = useApp();
  const always = (): boolean => true;
  const figures = createMemo(() => props.fleet.figures());
  const clickhouse = createMemo(() => live.pipeline()?.clickhouse ?? "ok");
  const dead = createMemo(() => live.pipeline()?.dead_lettered ?? 0);
  return (
    <nav class="tiles" aria-label="Health of the fleet" data-stale={live.kept() ? "" : undefined}>
      <Tile
        label="Online"
        value={formatCount(figures()?.online)}
        href={router.href("/devices", { status: "online" })}
        testId="online"
        note={`${formatCount(figures()?.activeDevices)} reported in ten minutes`}
      />
      <Tile
        label="Silent"
        value={formatCount(figures()?.silent)}
        href={router.href("/devices", { status: "silent" })}
        tone={(figures()?.silent ?? 0) > 0 ? "warn" : "calm"}
        testId="silent"
        note={`${formatCount(figures()?.becameSilent)} in the last ten minutes`}
      />
      <Tile
        label="New"
        value={formatCount(figures()?.newDevices)}
        href={router.href("/devices", { sort: "-first_seen" })}
        testId="new-devices"
        note="in the last ten minutes"
      />
      <Tile
        label="Events/s"
        value={formatRate(figures()?.rate)}
        href={router.href("/explore")}
        testId="rate"
        note={
          // The rings under the line are of the whole fleet.
          <Show when={!props.fleet.isPart()} fallback={`of ${plural(figures()?.eventTypes ?? 0, "type")}`}>
            <LiveSparkline type={totalName} visible={always} fill />
          </Show>
        }
      />
      <Tile
        label="Write delay"
        value={formatDuration(live.pipeline()?.store_lag_seconds)}
        href={router.href("/pipeline")}
        tone={clickhouse() === "ok" ? "calm" : "bad"}
        testId="lag"
        note={
          <Show when={clickhouse() === "ok"} fallback="ClickHouse unavailable">
            {formatCount(live.pipeline()?.pending)} waiting for ClickHouse
          </Show>
        }
      />
      <Tile
        label="Dead letters"
        value={formatCount(live.pipeline()?.dead_lettered)}
        href={`${router.href("/pipeline")}#dead-letters`}
        tone={dead() > 0 ? "bad" : "calm"}
        testId="dead-letters"
        note={dead() === 0 ? "none refused" : `${plural(dead(), "event")} refused by ClickHouse`}
      />
    </nav>
  );
}
