import { createMemo, type JSX, Show } from "solid-js";
import type { Facets } from "../../../../contract/fleet.ts";
import { createQuery, notAsked } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import { LiveSparkline } from "../../charts/live-sparkline.tsx";
import { totalName } from "../../live/live-rings.ts";
import { formatCount, formatDuration, formatRate, plural } from "../../ui/format.ts";

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

/** The state of the fleet in six numbers. With a filter, the first two are those of the filtered part. */
export function HealthTiles(props: { filter: FleetFilter }): JSX.Element {
  const { live, router, api } = useApp();
  const always = (): boolean => true;
  const part = createQuery<Record<string, string>, Facets>(
    props.filter.query,
    async (query, signal) => (props.filter.active() ? api.get("/api/facets", query, signal) : notAsked),
    { everyMs: 2_000 },
  );
  const online = createMemo(() => {
    const facets = part.data();
    if (!props.filter.active()) return live.figures()?.online;
    return facets && facets.devices - facets.silent;
  });
  const silent = createMemo(() => (props.filter.active() ? part.data()?.silent : live.figures()?.silent));
  const clickhouse = createMemo(() => live.pipeline()?.clickhouse ?? "ok");
  const dead = createMemo(() => live.pipeline()?.dead_lettered ?? 0);
  const ofPart = (): string => (props.filter.active() ? "in this part of the fleet" : "");
  return (
    <nav class="tiles" aria-label="Health of the fleet" data-stale={live.kept() ? "" : undefined}>
      <Tile
        label="Online"
        value={formatCount(online())}
        href={router.href("/devices", { status: "online" })}
        testId="online"
        note={ofPart() || `${formatCount(live.figures()?.activeDevices)} reported in ten minutes`}
      />
      <Tile
        label="Silent"
        value={formatCount(silent())}
        href={router.href("/devices", { status: "silent" })}
        tone={(silent() ?? 0) > 0 ? "warn" : "calm"}
        testId="silent"
        note={ofPart() || `${formatCount(live.figures()?.becameSilent)} in the last ten minutes`}
      />
      <Tile
        label="New"
        value={formatCount(live.figures()?.newDevices)}
        href={router.href("/devices", { sort: "-first_seen" })}
        testId="new-devices"
        note="in the last ten minutes"
      />
      <Tile
        label="Events/s"
        value={formatRate(live.figures()?.rate)}
        href={router.href("/explore")}
        testId="rate"
        note={<LiveSparkline type={totalName} visible={always} fill />}
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
