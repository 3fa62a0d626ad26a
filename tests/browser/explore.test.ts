import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { type Browser, buildClient, noChromium, openBrowser } from "./harness.ts";

setDefaultTimeout(60_000);

describe.skipIf(noChromium)("explore", () => {
  let server: FixtureServer;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 12, devices: 500 });
    browser = await openBrowser(() => server.url);
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });
  const withPage = async (path: string, run: (page: Page) => Promise<void>): Promise<void> => {
    const page = await browser.page(path);
    await run(page);
    await page.close();
  };
  const drawn = (page: Page): Promise<void> =>
    page.locator(".explore-main .apexcharts-series path").first().waitFor({ timeout: 20_000 });

  test("an empty period keeps the chart and the brush, and the way out", () =>
    withPage("/explore?from=now-1h", async (page) => {
      await drawn(page);
      server.scene.empty = true;
      await page.getByRole("button", { name: "Earlier" }).click();
      await page.getByText("No events in this range.").waitFor();
      expect(await page.locator(".explore-main").count()).toBe(1);
      expect(await page.locator(".explore-brush").count()).toBe(1);
      server.scene.empty = false;
      await page.goBack();
      await drawn(page);
      await page.getByText("No events in this range.").waitFor({ state: "detached" });
    }));

  test("each unit has a chart of its own, over one brush; a rate has one chart for all", () =>
    withPage("/explore?metric=avg", async (page) => {
      await drawn(page);
      expect(await page.locator(".explore-main").count()).toBeGreaterThan(1);
      expect(await page.locator(".explore-brush").count()).toBe(1);
      await page.getByLabel("Metric").selectOption("rate");
      await page.locator(".explore-main").nth(1).waitFor({ state: "detached" });
    }));

  test("more types than a chart can draw are said, not cut in silence", () => {
    const types = ["temperature", "humidity", "pressure", "cpu_percent", "memory_percent", "battery_voltage"];
    const all = [...types, "vibration_rms", "flow_rate", "door_open", "signal_dbm"].join(",");
    return withPage(`/explore?types=${all}`, async (page) => {
      await page.getByText("10 chosen; a chart draws the 8 busiest of them").waitFor();
    });
  });

  test("with a device chosen, its own types are offered", () =>
    withPage("/explore", async (page) => {
      const offered = page.locator(".type-choice li");
      await offered.nth(11).waitFor();
      await page.getByPlaceholder("All devices").fill("sensor-000004");
      await page.getByPlaceholder("All devices").press("Enter");
      await page.getByText("Event types of this device").waitFor();
      await offered.nth(5).waitFor({ state: "detached" });
    }));

  test("what is typed into the time range stays while the page goes on", () =>
    withPage("/explore?from=now-10m", async (page) => {
      await drawn(page);
      await page.locator(".time-button").click();
      const from = page.getByLabel("From");
      await from.fill("now-90m");
      const asked = server.stats.requests["/api/history"] ?? 0;
      // Another answer has come, and been drawn.
      while ((server.stats.requests["/api/history"] ?? 0) < asked + 1) await Bun.sleep(50);
      expect(await from.inputValue()).toBe("now-90m");
    }));

  test("the query behind a chart is copied", () =>
    withPage("/explore?metric=p95&types=temperature", async (page) => {
      await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await drawn(page);
      await page.getByRole("button", { name: "SQL", exact: true }).click();
      await page.getByText("Copied").waitFor();
      const text = await page.evaluate(() => navigator.clipboard.readText());
      expect(text).toContain("event_type IN ('temperature')");
    }));

  test("nothing went wrong on the way", () => expect(browser.faults).toEqual([]));
});
