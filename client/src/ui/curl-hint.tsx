import { createSignal, type JSX } from "solid-js";
import { Icon } from "./icons.tsx";

/** The command that makes this page come alive, ready to paste into a terminal. */
export function CurlHint(props: { deviceId?: string }): JSX.Element {
  const [copied, setCopied] = createSignal(false);
  const command = (): string =>
    `curl ${location.origin}/ingest \\\n  -H 'Content-Type: application/json' \\\n  -d '{"device_id":"${props.deviceId ?? "my-first-device"}","event_type":"temperature","value_float":21.5}'`;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(command());
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div class="curl">
      <pre tabindex="0">
        <code>{command()}</code>
      </pre>
      <button type="button" class="button" onClick={() => void copy()}>
        <Icon name="copy" />
        {copied() ? "Copied" : "Copy"}
      </button>
    </div>
  );
}
