import "./alerts-page.css";
import { type JSX, Match, Show, Switch } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { Segmented } from "../../ui/segmented.tsx";
import { ChannelList } from "./channel-list.tsx";
import { FiringList } from "./firing-list.tsx";
import { HistoryList } from "./history-list.tsx";
import { RuleList } from "./rule-list.tsx";
import { SilenceList } from "./silence-list.tsx";

const tabs = [
  { value: "firing", label: "Firing" },
  { value: "history", label: "History" },
  { value: "rules", label: "Rules" },
  { value: "channels", label: "Channels" },
  { value: "silences", label: "Silences" },
] as const;
type Tab = (typeof tabs)[number]["value"];

/** What fires, what has fired, and what decides it. Each part asks for what it shows; the tab is in the URL. */
export default function AlertsPage(): JSX.Element {
  const { router, live } = useApp();
  const tab = (): Tab => tabs.find(({ value }) => value === router.param("tab"))?.value ?? "firing";
  return (
    <div class="page">
      <div class="page-head">
        <h1>Alerts</h1>
        <Segmented
          label="Part of the page"
          name="alerts-tab"
          value={tab()}
          options={tabs}
          onChange={(next) => router.setParams({ tab: next === "firing" ? undefined : next }, { push: true })}
        />
        <Show when={live.alerts()}>{(alerts) => <AlertCounts counts={alerts().counts} />}</Show>
      </div>
      <Switch>
        <Match when={tab() === "firing"}>
          <FiringList />
        </Match>
        <Match when={tab() === "history"}>
          <HistoryList />
        </Match>
        <Match when={tab() === "rules"}>
          <RuleList />
        </Match>
        <Match when={tab() === "channels"}>
          <ChannelList />
        </Match>
        <Match when={tab() === "silences"}>
          <SilenceList />
        </Match>
      </Switch>
    </div>
  );
}

function AlertCounts(props: { counts: { critical: number; warning: number; info: number } }): JSX.Element {
  const words = (): string => {
    const { critical, warning, info } = props.counts;
    const parts = [
      ...(critical > 0 ? [`${critical} critical`] : []),
      ...(warning > 0 ? [`${warning} warning`] : []),
      ...(info > 0 ? [`${info} info`] : []),
    ];
    return parts.length === 0 ? "Nothing is firing" : `${parts.join(", ")} firing`;
  };
  return (
    <p class="panel-note push" role="status">
      {words()}
    </p>
  );
}
