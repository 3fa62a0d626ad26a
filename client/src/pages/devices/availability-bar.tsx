import { createMemo, type JSX, Show } from "solid-js";
import { type AvailabilitySpan, onlineShare } from "../../charts/availability.ts";

const colors = { online: "var(--ok)", silent: "var(--warn)", unknown: "var(--line)" } as const;

/** A day as a bar, and the share of it in which the device was online. */
export function AvailabilityBar(props: { spans: AvailabilitySpan[] | undefined }): JSX.Element {
  const share = createMemo(() => onlineShare(props.spans ?? []));
  const words = (): string => {
    const known = share();
    if (known === undefined) return "–";
    // 99.97 % is not 100 %: rounded down, so that a silence shows.
    return `${(Math.floor(known * 1000) / 10).toFixed(1).replace(/\.0$/, "")}%`;
  };
  const bar = (): string =>
    `linear-gradient(90deg, ${(props.spans ?? [])
      .map(({ state, from, to }) => `${colors[state]} ${(from * 100).toFixed(2)}% ${(to * 100).toFixed(2)}%`)
      .join(", ")})`;
  return (
    <Show when={props.spans} fallback={<span class="availability-wait">–</span>}>
      <span class="availability">
        <i style={{ background: bar() }} aria-hidden="true" />
        <span>{words()}</span>
      </span>
    </Show>
  );
}
