import "./explore-page.css";
import { type JSX, Show } from "solid-js";
import { FilterChips } from "../../app/filter-chips.tsx";
import { TimePicker } from "../../app/time-picker.tsx";
import { Notice } from "../../ui/notice.tsx";
import { ExploreForm } from "./explore-form.tsx";
import { ExplorePanel } from "./explore-panel.tsx";
import { createExploreData, createExploreView } from "./explore-state.ts";
import { TabChoice } from "./tab-choice.tsx";

export default function ExplorePage(): JSX.Element {
  const view = createExploreView();
  const data = createExploreData(view);
  return (
    <div class="page">
      <div class="page-head">
        <h1>Explore</h1>
        <TabChoice />
        <TimePicker range={view.time} />
        <FilterChips filter={view.filter} />
      </div>
      <Show when={data.main.failure()}>
        {(failure) => (
          <Notice
            tone="warn"
            title="The history cannot be read."
            action={
              <button type="button" class="button" onClick={() => data.main.refresh()}>
                Try again
              </button>
            }
          >
            {failure().message} <Show when={data.main.data()}>The chart shows the last answer.</Show>
          </Notice>
        )}
      </Show>
      <div class="explore-grid">
        <ExploreForm view={view} data={data} />
        <ExplorePanel view={view} data={data} />
      </div>
    </div>
  );
}
