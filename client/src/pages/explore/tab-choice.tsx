import { type JSX, Show } from "solid-js";
import { useApp } from "../../app/context.tsx";
import { Segmented } from "../../ui/segmented.tsx";

const tabs = [
  { value: "chart", label: "Chart" },
  { value: "sql", label: "SQL" },
] as const;

/** Not under a shared link, which may ask for its view's own requests only. */
export function TabChoice(): JSX.Element {
  const { router, api } = useApp();
  return (
    <Show when={api.base === ""}>
      <Segmented
        label="Way to ask"
        name="explore-tab"
        value={router.param("tab") === "sql" ? "sql" : "chart"}
        options={tabs}
        onChange={(next) => router.setParams({ tab: next === "sql" ? "sql" : undefined }, { push: true })}
      />
    </Show>
  );
}
