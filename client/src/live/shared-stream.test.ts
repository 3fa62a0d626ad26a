import { describe, expect, test } from "bun:test";
import { makeSharedStream, type SharedStream, type SharedStreamDeps, type TabMessage } from "./shared-stream.ts";
import type { SseMessage, SseOptions, SseState } from "./sse.ts";

/** A browser in memory: one lock, one channel, and a count of the open streams. */
function browser() {
  const channels = new Set<(message: TabMessage) => void>();
  const open = new Set<SseOptions>();
  const timers = new Set<() => void>();
  let now = 0;
  let opened = 0;
  let holder: { lost: AbortController; done: () => void } | undefined;
  const queue: { start: () => void; signal: AbortSignal }[] = [];

  const grantNext = (): void => {
    holder = undefined;
    queue.shift()?.start();
  };
  const requestLock: SharedStreamDeps["requestLock"] = (steal, signal, hold) =>
    new Promise((resolve) => {
      const start = (): void => {
        const lost = new AbortController();
        const mine = { lost, done: resolve };
        holder = mine;
        signal.addEventListener("abort", () => lost.abort(), { once: true });
        void hold(lost.signal).then(() => {
          if (holder === mine) grantNext();
          resolve();
        });
      };
      if (steal && holder) {
        const old = holder;
        start();
        old.lost.abort();
      } else if (holder) {
        const entry = { start, signal };
        queue.push(entry);
        signal.addEventListener("abort", () => {
          const at = queue.indexOf(entry);
          if (at >= 0) queue.splice(at, 1);
          resolve();
        });
      } else start();
    });

  const openTab = (options: { deaf?: boolean } = {}) => {
    const seen: { messages: string[]; states: SseState["kind"][] } = { messages: [], states: [] };
    let listener: ((message: TabMessage) => void) | undefined;
    const mine = new Set<() => void>();
    const deps: SharedStreamDeps = {
      openSse(sse) {
        open.add(sse);
        opened += 1;
        return { retryNow: () => undefined, stop: () => void open.delete(sse) };
      },
      openChannel(onMessage) {
        listener = onMessage;
        channels.add(onMessage);
        return {
          // A frozen tab says nothing.
          post: (message) => {
            if (options.deaf) return;
            for (const each of channels) if (each !== onMessage) each(structuredClone(message));
          },
          close: () => void channels.delete(onMessage),
        };
      },
      requestLock,
      setTimer(run) {
        timers.add(run);
        mine.add(run);
        return () => timers.delete(run);
      },
      now: () => now,
    };
    const stream: SharedStream = makeSharedStream(deps, {
      onMessage: (message) => seen.messages.push(message.data),
      onState: (state) => seen.states.push(state.kind),
      onAlive: () => undefined,
    });
    return {
      stream,
      seen,
      close: () => {
        stream.stop();
        if (listener) channels.delete(listener);
      },
    };
  };
  return {
    openTab,
    openStreams: () => open.size,
    openedEver: () => opened,
    source: () => [...open][0]!,
    send: (message: SseMessage) => {
      for (const sse of open) sse.onMessage(message);
    },
    pass(ms: number) {
      now += ms;
      for (const run of timers) run();
    },
  };
}
const message = (id: string): SseMessage => ({ event: "update", data: id, id });
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

describe("one stream for all tabs", () => {
  test("ten tabs open one stream, and every tab sees every message once", async () => {
    const all = browser();
    const tabs = Array.from({ length: 10 }, () => all.openTab());
    await settle();
    expect(all.openStreams()).toBe(1);
    for (const id of ["e-1", "e-2", "e-3"]) all.send(message(id));
    for (const tab of tabs) expect(tab.seen.messages).toEqual(["e-1", "e-2", "e-3"]);
  });
  test("a tab that comes later has the latest message at once, and the others do not see it twice", async () => {
    const all = browser();
    const first = all.openTab();
    const second = all.openTab();
    await settle();
    all.source().onState({ kind: "open" });
    all.send(message("e-5"));
    const late = all.openTab();
    expect(late.seen.messages).toEqual(["e-5"]);
    expect(late.seen.states).toEqual(["open"]);
    for (const tab of [first, second]) expect(tab.seen.messages).toEqual(["e-5"]);
  });
  test("when the holder closes, another takes over where it ended", async () => {
    const all = browser();
    const first = all.openTab();
    const second = all.openTab();
    await settle();
    all.send(message("e-9"));
    first.close();
    await settle();
    expect(all.openStreams()).toBe(1);
    expect(all.source().lastEventId).toBe("e-9");
    all.send(message("e-10"));
    expect(second.seen.messages).toEqual(["e-9", "e-10"]);
  });
  test("a frozen holder loses the stream to a tab that lives", async () => {
    const all = browser();
    const options = { deaf: false };
    const frozen = all.openTab(options);
    const living = all.openTab();
    await settle();
    all.send(message("e-1"));
    options.deaf = true;
    for (let step = 0; step < 6; step++) all.pass(5_000);
    await settle();
    expect(all.openStreams()).toBe(1);
    all.send(message("e-2"));
    expect(living.seen.messages).toEqual(["e-1", "e-2"]);
    frozen.close();
    await settle();
    expect(all.openStreams()).toBe(1);
  });
  test("the last tab leaves nothing open", async () => {
    const all = browser();
    const tabs = [all.openTab(), all.openTab()];
    await settle();
    for (const tab of tabs) tab.close();
    await settle();
    expect(all.openStreams()).toBe(0);
    expect(all.openedEver()).toBe(1);
  });
});
