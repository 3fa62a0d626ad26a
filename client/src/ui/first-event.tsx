import "./first-event.css";
import { createSignal, createUniqueId, For, type JSX } from "solid-js";
import { Icon } from "./icons.tsx";

/** The ways to a first event, each ready to paste into a terminal. */
const ways: readonly { name: string; note: string; command(origin: string, device: string): string }[] = [
  {
    name: "curl",
    note: "One reading of one device.",
    command: (origin, device) =>
      `curl ${origin}/ingest \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify({
        device_id: device,
        event_type: "temperature",
        value_float: 21.5,
        metadata: { unit: "°C" },
      })}'`,
  },
  {
    name: "Python",
    note: "The standard library is enough.",
    command: (origin, device) =>
      `import json, urllib.request\n\nevent = {"device_id": ${JSON.stringify(device)}, "event_type": "temperature", "value_float": 21.5}\nrequest = urllib.request.Request(\n    "${origin}/ingest",\n    json.dumps(event).encode(),\n    {"Content-Type": "application/json"},\n)\nprint(urllib.request.urlopen(request).read().decode())`,
  },
  {
    name: "Simulator",
    note: "A fleet of 100 devices at two sites, from the project's directory.",
    command: (origin) => `npm run simulate -- --devices 100 --rate 100 --sites 2 --url ${origin}`,
  },
  {
    name: "This machine",
    note: "Its own CPU, memory, disk, network and load, once a second, from the project's directory.",
    command: (origin) => `npm run device -- --url ${origin}`,
  },
];

/** How to send a first event, in four ways. */
export function FirstEvent(props: { deviceId?: string }): JSX.Element {
  const id = createUniqueId();
  const [chosen, setChosen] = createSignal(0);
  const [copied, setCopied] = createSignal(false);
  const way = () => ways[chosen()] ?? ways[0]!;
  const command = (): string => way().command(location.origin, props.deviceId ?? "my-first-device");
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(command());
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  const move = (event: KeyboardEvent & { currentTarget: HTMLElement }): void => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    setChosen((chosen() + by + ways.length) % ways.length);
    event.currentTarget.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
  };
  return (
    <div class="first-event">
      <div class="tabs" role="tablist" aria-label="Ways to send an event" onKeyDown={move}>
        <For each={ways}>
          {(each, index) => (
            <button
              type="button"
              role="tab"
              id={`${id}-tab-${index()}`}
              aria-controls={`${id}-panel`}
              aria-selected={chosen() === index()}
              tabindex={chosen() === index() ? 0 : -1}
              onClick={() => setChosen(index())}
            >
              {each.name}
            </button>
          )}
        </For>
      </div>
      <div class="curl" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-tab-${chosen()}`}>
        <p class="panel-note">{way().note}</p>
        <div class="curl-command">
          <pre tabindex="0">
            <code>{command()}</code>
          </pre>
          <button type="button" class="button" onClick={() => void copy()}>
            <Icon name="copy" />
            {copied() ? "Copied" : "Copy"}
          </button>
        </div>
      </div>
    </div>
  );
}
