import { Index, type JSX, onMount, Show } from "solid-js";
import type { PipelineDetail } from "../../../../contract/read.ts";
import { createClockWords } from "../../app/clock-words.ts";
import { plural } from "../../ui/format.ts";

/** The events that ClickHouse refused, each with its reason. */
export function DeadLettersPanel(props: { letters: PipelineDetail["dead_letters"] }): JSX.Element {
  const clock = createClockWords();
  let panel!: HTMLElement;
  onMount(() => {
    if (location.hash === "#dead-letters") panel.scrollIntoView();
  });
  return (
    <section ref={panel} class="panel dead-panel" id="dead-letters" aria-labelledby="dead-title">
      <div class="panel-head">
        <h2 id="dead-title">Dead letters</h2>
        <span class="panel-note">
          {props.letters.count === 0
            ? "none"
            : `${plural(props.letters.count, "event")} that ClickHouse refused, kept in a file that can be replayed`}
        </span>
      </div>
      <Show
        when={props.letters.newest.length > 0}
        fallback={<p class="panel-body panel-note">ClickHouse has refused no event.</p>}
      >
        <ul class="dead-list">
          <Index each={props.letters.newest}>
            {(letter) => (
              <li>
                <details>
                  <summary>
                    <span class="dead-reason">{letter().reason}</span>
                    <span class="panel-note">
                      {letter().event.device_id}, {letter().event.event_type}, {clock.ago(letter().at)}
                    </span>
                  </summary>
                  <pre tabindex="0">{JSON.stringify(letter().event, null, 2)}</pre>
                </details>
              </li>
            )}
          </Index>
        </ul>
      </Show>
    </section>
  );
}
