import { existsSync } from "node:fs";
import type { Subprocess } from "bun";
import { findFreePort } from "../../base/free-port.ts";
import { until } from "./harness.ts";

const driverPath = "/usr/bin/WebKitWebDriver";
const displayPath = "/usr/bin/Xvfb";
const browserPaths = ["4.1", "6.0"].map(
  (version) =>
    `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/webkit2gtk-${version}/MiniBrowser`,
);
const browserPath = browserPaths.find((path) => existsSync(path));

/** Debian's `webkit2gtk-driver` and `xvfb`; where they are missing, the tests show as skipped rather than pass. */
export const noWebKit = browserPath === undefined || !existsSync(driverPath) || !existsSync(displayPath);

export interface WebKit {
  open(url: string): Promise<void>;
  /** What a function's body returns in the page. */
  run<T>(body: string): Promise<T>;
  close(): Promise<void>;
}

/** WebKit on a display of its own, driven over WebDriver's HTTP. */
export async function openWebKit(): Promise<WebKit> {
  const port = findFreePort();
  const display = `:${100 + (port % 800)}`;
  const processes: Subprocess[] = [
    Bun.spawn([displayPath, display, "-screen", "0", "1440x900x24", "-nolisten", "tcp"], quiet),
    Bun.spawn([driverPath, `--port=${port}`], {
      ...quiet,
      env: { ...process.env, DISPLAY: display, WEBKIT_DISABLE_COMPOSITING_MODE: "1", LIBGL_ALWAYS_SOFTWARE: "1" },
    }),
  ];
  const stop = async (): Promise<void> => {
    for (const each of processes.toReversed()) {
      each.kill();
      await each.exited;
    }
  };
  const ask = async <T>(path: string, body?: object, method = "POST"): Promise<T> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {}),
    });
    const { value } = (await answer.json()) as { value: T & { message?: string } };
    if (!answer.ok) throw new Error(`WebDriver ${path}: ${value.message}`);
    return value;
  };
  try {
    await until(
      () =>
        ask<{ ready: boolean }>("/status", undefined, "GET").then(
          ({ ready }) => ready,
          () => false,
        ),
      (ready) => ready,
    );
    const options = { binary: browserPath, args: ["--automation"] };
    const { sessionId } = await ask<{ sessionId: string }>("/session", {
      capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } },
    });
    const session = `/session/${sessionId}`;
    return {
      open: (url) => ask(`${session}/url`, { url }),
      run: (script) => ask(`${session}/execute/sync`, { script, args: [] }),
      async close() {
        await ask(session, undefined, "DELETE");
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const quiet = { stdout: "ignore", stderr: "ignore" } as const;
