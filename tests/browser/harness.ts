import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { type Service, startService } from "../../testing/test-service.ts";

export const chromiumPath = "/usr/bin/chromium";
/** Where it is missing, the tests show as skipped rather than pass. */
export const noChromium = !existsSync(chromiumPath);

const root = join(import.meta.dir, "../..");
export const dist = join(root, "client/dist");

function newestMs(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((newest, entry) => Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
}

/** Builds the client unless what is built is newer than its source. */
export function buildClient(): void {
  const built = join(dist, "index.html");
  const sources = ["src", "public", "vite.config.ts", "index.html"].map((name) => join(root, "client", name));
  const newest = Math.max(
    ...sources.map((path) => (statSync(path).isDirectory() ? newestMs(path) : statSync(path).mtimeMs)),
  );
  if (existsSync(built) && statSync(built).mtimeMs > newest) return;
  // `bun test` sets NODE_ENV=test, which would make this a development build, without a service worker.
  const build = Bun.spawnSync([join(root, "node_modules/.bin/vite"), "build", "client"], {
    cwd: root,
    env: { ...process.env, NODE_ENV: "production" },
  });
  if (build.exitCode !== 0) throw new Error(`the client does not build:\n${build.stderr}${build.stdout}`);
}

export interface Browser {
  context: BrowserContext;
  page(path: string): Promise<Page>;
  /** What the pages' consoles said that nobody wants to see, and errors that nobody caught. */
  faults: string[];
  close(): Promise<void>;
}

interface BrowserOptions {
  width?: number;
  height?: number;
  dark?: boolean;
  reducedMotion?: boolean;
}

/** Chromium with a profile of its own, gone when closed. `baseUrl` is what `page(path)` opens under. */
export async function openBrowser(baseUrl: () => string, options: BrowserOptions = {}): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), "sluice-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    colorScheme: options.dark ? "dark" : "light",
    reducedMotion: options.reducedMotion ? "reduce" : "no-preference",
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
  });
  context.setDefaultTimeout(10_000);
  const faults: string[] = [];
  const watch = (page: Page): void => {
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => {
      // A server that is away on purpose is not a fault of the page.
      if (message.type() === "error" && !/Failed to load resource|net::ERR/.test(message.text()))
        faults.push(message.text());
    });
  };
  for (const page of context.pages()) watch(page);
  context.on("page", watch);
  return {
    context,
    faults,
    async page(path) {
      const page = await context.newPage();
      await page.goto(baseUrl() + path);
      return page;
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Waits until `read` gives what `accept` wants; the last value is in the error. */
export async function until<T>(
  read: () => Promise<T> | T,
  accept: (value: T) => boolean,
  timeoutMs = 10_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)} after ${timeoutMs} ms`);
    await Bun.sleep(20);
  }
}

/** The real service as it is in production, once it is ready. */
export async function startReadyService(): Promise<Service> {
  const service = await startService({ NODE_ENV: "production", LOG_LEVEL: "error" });
  const isReady = async (): Promise<boolean> => (await fetch(`${service.url}/readyz`)).ok;
  await until(isReady, (ready) => ready, 60_000);
  return service;
}

/** The page has live numbers. */
export async function live(page: Page): Promise<void> {
  await page.locator(".connection[data-kind=live]").waitFor();
}
