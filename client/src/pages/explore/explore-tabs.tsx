import { type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import ExplorePage from "./explore-page.tsx";
import { SqlTab } from "./sql-tab.tsx";
import { TabChoice } from "./tab-choice.tsx";

/** Explore: a chart that is put together by choosing, or a question in SQL. */
export default function ExploreTabs(): JSX.Element {
  const { router, api } = useApp();
  const sql = (): boolean => router.param("tab") === "sql" && api.base === "";
  return (
    <Show when={sql()} fallback={<ExplorePage />}>
      <div class="page">
        <div class="page-head">
          <h1>Explore</h1>
          <TabChoice />
        </div>
        <SqlTab />
      </div>
    </Show>
  );
}
