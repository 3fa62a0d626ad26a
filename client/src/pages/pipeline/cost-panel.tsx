import { For, type JSX, Show } from "solid-js";
import type { Storage } from "../../../../contract/storage.ts";
import { createQuery } from "../../api/query.ts";
import { useApp } from "../../app/context.tsx";
import { formatBytes, formatCount } from "../../ui/format.ts";

const everyMs = 60_000;
const typesShown = 8;

/** What storing costs: bytes a day, how long the disk lasts, which types take most, and the settings that decide it. */
export function CostPanel(): JSX.Element {
  const { api } = useApp();
  const query = createQuery(
    () => undefined,
    (_, signal) => api.get("/api/storage", {}, signal),
    { everyMs },
  );
  return (
    <Show when={query.data()}>
      {(storage) => (
        <section class="panel" aria-labelledby="cost-title">
          <div class="panel-head">
            <h2 id="cost-title">Storage</h2>
            <span class="panel-note">raw events on disk, compressed</span>
          </div>
          <dl class="pairs">
            <div>
              <dt>Added</dt>
              <dd>{formatBytes(storage().bytes_per_day)} a day, as in the last 24 hours</dd>
            </div>
            <div>
              <dt>Disk</dt>
              <dd>{diskWords(storage())}</dd>
            </div>
            <div>
              <dt>In the long run</dt>
              <dd>{formatBytes(storage().bytes_when_steady)}</dd>
            </div>
            <div>
              <dt>Kept for</dt>
              <dd>
                {storage().settings.RETENTION_DAYS} days (<code>RETENTION_DAYS</code>)
                <Show when={storage().settings.RETENTION !== ""}>
                  ; <code>RETENTION={storage().settings.RETENTION}</code>
                </Show>
              </dd>
            </div>
          </dl>
          <Show when={storage().types.length > 0}>
            <TypeCosts storage={storage()} />
          </Show>
        </section>
      )}
    </Show>
  );
}

function diskWords({ disk, days_until_full }: Storage): string {
  if (!disk) return "not known: ClickHouse has a disk of its own";
  const free = `${formatBytes(disk.free_bytes)} of ${formatBytes(disk.total_bytes)} free`;
  if (days_until_full === null) return `${free}; it does not fill`;
  return `${free}; full in about ${formatCount(Math.max(1, Math.round(days_until_full)))} days`;
}

function TypeCosts(props: { storage: Storage }): JSX.Element {
  return (
    <section class="table-scroll" tabindex="0" aria-label="Cost of each type, scrolls sideways">
      <table>
        <thead>
          <tr>
            <th scope="col">Type</th>
            <th scope="col" class="num">
              A day
            </th>
            <th scope="col" class="num">
              An event
            </th>
            <th scope="col" class="num">
              Kept, days
            </th>
          </tr>
        </thead>
        <tbody>
          <For each={props.storage.types.slice(0, typesShown)}>
            {(type) => (
              <tr>
                <th scope="row">{type.event_type}</th>
                <td class="num">{formatBytes(type.bytes_per_day)}</td>
                <td class="num">{formatBytes(type.bytes_per_event)}</td>
                <td class="num">{formatCount(type.retention_days)}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </section>
  );
}
