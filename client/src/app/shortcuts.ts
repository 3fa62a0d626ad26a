import { makeEventListener } from "@solid-primitives/event-listener";
import { type Accessor, onCleanup } from "solid-js";

export interface Shortcuts {
  /** Adds a shortcut for as long as the calling owner lives. `keys` is one key, or two pressed one after the other: "g l". */
  add(keys: string, run: () => void): void;
}

/** The second key of a pair must follow within this time. */
const pairMs = 1_200;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || (target.matches("input, select, textarea") && !target.matches("input[type=checkbox]")))
  );
}

/** A control that the space bar itself works. */
function takesSpace(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("button, a, summary, input, select, [role=button]") !== null;
}

/** Must be called under a Solid owner. */
export function createShortcuts(enabled: Accessor<boolean>): Shortcuts {
  const bound = new Map<string, (() => void)[]>();
  let first = "";
  let firstAtMs = 0;

  makeEventListener(window, "keydown", (event) => {
    if (
      !enabled() ||
      event.defaultPrevented ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      isTyping(event.target)
    )
      return;
    if (document.querySelector("dialog[open]") !== null) return;
    const key = event.key === " " ? "space" : event.key;
    if (key === "space" && takesSpace(event.target)) return;
    const pair = first !== "" && event.timeStamp - firstAtMs < pairMs ? `${first} ${key}` : "";
    const run = bound.get(pair)?.at(-1) ?? bound.get(key)?.at(-1);
    first = "";
    if (run) {
      event.preventDefault();
      run();
    } else {
      first = key;
      firstAtMs = event.timeStamp;
    }
  });

  return {
    add(keys, run) {
      const runs = bound.get(keys) ?? [];
      runs.push(run);
      bound.set(keys, runs);
      onCleanup(() => {
        const at = runs.indexOf(run);
        if (at >= 0) runs.splice(at, 1);
      });
    },
  };
}
