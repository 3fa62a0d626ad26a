import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { type Browser, buildClient, dist, live, noChromium, openBrowser, until } from "./harness.ts";

setDefaultTimeout(40_000);

describe.skipIf(noChromium)("installed", () => {
  let server: FixtureServer;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 12, rate: 4711 });
    browser = await openBrowser(() => server.url);
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  test("an offline reload shows the last data with its age, and comes back by itself", async () => {
    const page = await browser.page("/");
    await live(page);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await until(
      () => page.evaluate(() => caches.keys().then((keys) => keys.length)),
      (count) => count > 0,
    );
    // The chart's chunks come from the cache later only if they are all there now.
    await until(
      () => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state ?? "none"),
      (state) => state === "activated",
    );
    const { port } = server;
    await browser.context.setOffline(true);
    await server.stop();
    await page.reload();
    await until(
      () => page.getByTestId("rate").textContent(),
      (text) => text === "4,711",
    );
    await page
      .getByTestId("connection-detail")
      .getByText(/This device is offline. What you see is .+ old\./)
      .waitFor();
    await page.locator("table.types tbody tr").nth(5).waitFor();
    await page.locator(".rate-panel canvas").waitFor();
    const age = await page.getByTestId("connection-detail").textContent();
    await until(
      () => page.getByTestId("connection-detail").textContent(),
      (text) => text !== age,
    );

    server = createFixtureServer({ types: 12, rate: 815, port });
    await browser.context.setOffline(false);
    await until(
      () => page.getByTestId("rate").textContent(),
      (text) => text === "815",
      15_000,
    );
    await live(page);
    await page.close();
  });

  test("a new version is offered by a quiet prompt, and taken when it is accepted", async () => {
    const worker = join(dist, "sw.js");
    const source = await Bun.file(worker).text();
    const page = await browser.page("/");
    try {
      await live(page);
      await until(
        () => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state ?? "none"),
        (state) => state === "activated",
      );
      await page.reload();
      await live(page);
      await page.evaluate(() => Object.assign(globalThis, { isThisLoad: true }));
      await Bun.write(worker, `${source}\n// A later build.\n`);
      // The page registers some seconds after its load; what it would ask for hourly is asked for now.
      const prompt = page.getByText("A new version is ready.");
      await until(
        async () => {
          await page.evaluate(async () => void (await navigator.serviceWorker.getRegistration())?.update());
          return prompt.isVisible();
        },
        (visible) => visible,
        20_000,
      );
      expect(await page.evaluate(() => "isThisLoad" in globalThis)).toBe(true);
      await page.getByRole("button", { name: "Reload" }).click();
      await until(
        () => page.evaluate(() => "isThisLoad" in globalThis).catch(() => true),
        (before) => !before,
      );
      await live(page);
      expect(await prompt.isVisible()).toBe(false);
    } finally {
      await Bun.write(worker, source);
      await page.close();
    }
  });

  test("neither the stream nor the API is ever answered from a cache", async () => {
    const page = await browser.page("/pipeline");
    await page.getByText("Storing events, but not all of them").waitFor();
    const cached = await page.evaluate(async () => {
      const names = await caches.keys();
      const lists = await Promise.all(
        names.map(async (name) =>
          (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname),
        ),
      );
      return lists.flat();
    });
    expect(cached).toContain("/index.html");
    expect(cached.filter((path) => path.startsWith("/api") || path.startsWith("/dashboard-stream"))).toEqual([]);
    await page.close();
  });

  test("installable: a manifest with a name, a start, and icons that are there", async () => {
    const manifest = (await (await fetch(`${server.url}/manifest.webmanifest`)).json()) as {
      name: string;
      start_url: string;
      display: string;
      icons: { src: string; sizes: string; purpose?: string }[];
    };
    expect(manifest).toMatchObject({ name: "Sluice", start_url: "/", display: "standalone" });
    expect(manifest.icons.map((icon) => icon.sizes)).toContain("512x512");
    expect(manifest.icons.some((icon) => icon.purpose === "maskable")).toBe(true);
    for (const icon of manifest.icons)
      expect((await fetch(server.url + icon.src)).headers.get("Content-Type")).toBe("image/png");
  });
});
