import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, createSignal, onCleanup } from "solid-js";
import type { DeviceUpdate } from "../../../contract/stream.ts";
import { queryString } from "../api/api.ts";
import { browserSharedStreamDeps, makeSharedStream, type SharedStream } from "./shared-stream.ts";

export interface DeviceTail {
  /** Newest first, at most `tailMax`. */
  events: Accessor<readonly DeviceUpdate[]>;
  /** Events that came too fast to be sent, since the page was opened. */
  skipped: Accessor<number>;
  connected: Accessor<boolean>;
  paused: Accessor<boolean>;
  setPaused(paused: boolean): void;
}

export const tailMax = 100;

function isDeviceUpdate(value: unknown): value is DeviceUpdate {
  return (
    typeof value === "object" && value !== null && "device_id" in value && "event_type" in value && "timestamp" in value
  );
}

/**
 * The device's own events as they arrive. A second stream beside the shared one, so it is open only while its page can
 * be seen; tabs on the same device share it. `base` is the api's. Must be called under a Solid owner.
 */
export function createDeviceTail(deviceId: string, base = ""): DeviceTail {
  const [events, setEvents] = createSignal<readonly DeviceUpdate[]>([]);
  const [skipped, setSkipped] = createSignal(0);
  const [connected, setConnected] = createSignal(false);
  const [paused, setPausedSignal] = createSignal(false);
  let buffer: DeviceUpdate[] = [];
  let stream: SharedStream | undefined;
  let frame = 0;

  const flush = (): void => {
    frame = 0;
    if (paused() || buffer.length === 0) return;
    setEvents([...buffer.reverse(), ...events()].slice(0, tailMax));
    buffer = [];
  };
  const schedule = (): void => {
    if (frame === 0) frame = requestAnimationFrame(flush);
  };
  const open = (): void => {
    const url = `${base}/dashboard-stream${queryString({ limit: "1", device: deviceId })}`;
    stream = makeSharedStream(browserSharedStreamDeps(url), {
      onMessage(message) {
        if (message.event !== "device") return;
        const value: unknown = JSON.parse(message.data);
        if (!isDeviceUpdate(value)) return;
        buffer.push(value);
        if (buffer.length > tailMax) buffer.shift();
        if (value.skipped > 0) setSkipped((before) => before + value.skipped);
        schedule();
      },
      onState: (state) => setConnected(state.kind === "open"),
      onAlive: () => undefined,
    });
  };
  const close = (): void => {
    stream?.stop();
    stream = undefined;
    setConnected(false);
  };

  if (!document.hidden) open();
  makeEventListener(document, "visibilitychange", () => {
    if (document.hidden) close();
    else if (!stream) open();
  });
  onCleanup(() => {
    cancelAnimationFrame(frame);
    close();
  });
  return {
    events,
    skipped,
    connected,
    paused,
    setPaused(next) {
      setPausedSignal(next);
      schedule();
    },
  };
}
