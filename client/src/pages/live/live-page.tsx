import "./live-page.css";
import { createMemo, createSignal, type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { createFleetFilter } from "../../app/fleet-filter.ts";
import { createTimeRange } from "../../app/time-range-state.ts";
import { createRangeAlerts } from "../../charts/range-alerts.ts";
import { formatCount } from "../../ui/format.ts";
import { Notice } from "../../ui/notice.tsx";
import { ChangesPanel } from "./changes-panel.tsx";
import { HealthTiles } from "./health-tiles.tsx";
import { LiveToolbar } from "./live-toolbar.tsx";
import { RatePanel } from "./rate-panel.tsx";
import { createShownFleet, type ShownFleet } from "./shown-fleet.ts";
import { SilentNow } from "./silent-now.tsx";
import { createTopTypes } from "./top-types.ts";
import { TypeTable } from "./type-table.tsx";
import { ValuePanel } from "./value-panel.tsx";
import { WaitingPanel } from "./waiting-panel.tsx";

export default function LivePage(): JSX.Element {
  const { live, router } = useApp();
  const range = createTimeRange("now-10m");
  const filter = createFleetFilter(router);
  const [hovered, setHovered] = createSignal(false);
  live.wantPast();
  const fleet = createShownFleet(filter);
  const slots = createTopTypes(live, fleet, hovered);
  const chosen = createChosenType(fleet);
  const marks = createRangeAlerts(range, { off: filter.active });
  const quiet = createMemo(() => live.figures()?.eventCount === 0 && live.figures()?.complete === true);

  return (
    <div class="page live-page">
      <h1 class="visually-hidden">Live</h1>
      <StoreNotice />
      <HealthTiles fleet={fleet} />
      <SilentNow filter={filter} />
      <WaitingPanel quiet={quiet()} />
      <Show when={!quiet()}>
        <LiveToolbar range={range} filter={filter} />
        <div class="live-grid">
          <RatePanel fleet={fleet} range={range} filter={filter} slots={slots()} marks={marks()} onHover={setHovered} />
          <ChangesPanel filter={filter} />
          <ValuePanel type={chosen()} range={range} filter={filter} marks={marks()} />
          <TypeTable
            fleet={fleet}
            selected={chosen()}
            onSelect={(type) => router.setParams({ type }, { push: true })}
            slotOf={(type) => slots().get(type)}
          />
        </div>
      </Show>
    </div>
  );
}

/** The type of the value chart: as chosen, else the largest with numbers, which stays while it is there. */
function createChosenType(fleet: ShownFleet): () => string | undefined {
  const { live, router } = useApp();
  const largest = createMemo<string | undefined>((previous) => {
    live.nowMs();
    const rows = fleet.rows();
    if (previous !== undefined && rows.some((row) => row.type === previous && row.latest().p50 !== null))
      return previous;
    const numeric = rows.filter((row) => row.latest().p50 !== null);
    const order = [...(numeric.length > 0 ? numeric : rows)].sort(
      (a, b) => b.latest().event_count - a.latest().event_count || (a.type < b.type ? -1 : 1),
    );
    return order[0]?.type;
  });
  return () => router.param("type") || largest();
}

function StoreNotice(): JSX.Element {
  const { live, router } = useApp();
  const state = createMemo(() => live.pipeline()?.clickhouse ?? "ok");
  const starting = createMemo(() => live.pipeline()?.starting === true);
  const pending = createMemo(() => live.pipeline()?.pending ?? 0);
  return (
    <Show
      when={!starting()}
      fallback={
        <Notice tone="info" title="Sluice is starting.">
          Events are accepted already; figures are complete once ClickHouse has answered.
        </Notice>
      }
    >
      <Show when={state() !== "ok"}>
        <Notice
          tone={state() === "denied" ? "bad" : "warn"}
          title={state() === "denied" ? "ClickHouse refuses the service's credentials." : "ClickHouse is unavailable."}
          action={
            <a class="button" href={router.href("/pipeline")}>
              Pipeline
            </a>
          }
        >
          Events are still accepted and stay in the journal: {formatCount(pending())} are waiting, nothing is lost. Live
          figures include them.
        </Notice>
      </Show>
    </Show>
  );
}
