import { createMemo, type JSX, Show } from "solid-js";
import { createQuery } from "../../api/query.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { useApp } from "../../app/context.tsx";
import type { FleetFilter } from "../../app/fleet-filter.ts";
import { mergeChanges } from "../../live/changes-feed.ts";
import { ChangeList } from "../../ui/change-list.tsx";

/** The stream tells the rest. */
const rereadEveryMs = 30_000;
/** What the stream tells is of the whole fleet, so the changes of a part of it are read. */
const rereadPartEveryMs = 5_000;
const shownMax = 50;

/** What has happened to devices lately: from what is kept, and as it happens. */
export function ChangesPanel(props: { filter: FleetFilter }): JSX.Element {
  const { api, live, router } = useApp();
  const clock = createClockWords();
  const stored = createQuery(
    props.filter.query,
    (meta, signal) => api.get("/api/changes", { ...meta, fold: "1", limit: String(shownMax) }, signal),
    { everyMs: () => (props.filter.active() ? rereadPartEveryMs : rereadEveryMs), clear: true },
  );
  const changes = createMemo(() =>
    mergeChanges(stored.data()?.changes ?? [], props.filter.active() ? [] : live.changes()).slice(0, shownMax),
  );
  return (
    <section class="panel changes-panel" aria-labelledby="changes-title">
      <div class="panel-head">
        <h2 id="changes-title">Changes</h2>
        <Show when={stored.failure()}>{(failure) => <span class="panel-note">{failure().message}</span>}</Show>
      </div>
      <section class="changes-scroll" tabindex="0" aria-label="Changes, scrolls">
        <Show
          when={changes().length > 0}
          fallback={
            <p class="table-empty">
              {stored.data()
                ? "Nothing has changed: a device that falls silent, comes back or is new shows here."
                : stored.failure()
                  ? "The changes cannot be read."
                  : "Loading the changes"}
            </p>
          }
        >
          <ChangeList changes={changes()} time={clock.time} ago={clock.ago} href={(path) => router.href(path)} />
        </Show>
      </section>
    </section>
  );
}
