import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { axe } from "./axe.ts";
import { type Browser, buildClient, live, noChromium, openBrowser } from "./harness.ts";

setDefaultTimeout(40_000);

describe.skipIf(noChromium)("palette, saved views, SQL", () => {
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

  test("the palette finds a page, a device and a type by keyboard", () =>
    withPage("/", async (page) => {
      await live(page);
      await page.keyboard.press("Control+k");
      const box = page.getByRole("combobox", { name: /Search pages/ });
      await box.fill("pipe");
      expect(await axe(page)).toEqual([]);
      await box.press("Enter");
      await page.getByRole("heading", { name: "Pipeline" }).waitFor();
      await page.keyboard.press("Control+k");
      await box.fill("sensor-000042");
      await page.getByRole("option", { name: /sensor-000042/ }).waitFor();
      await box.press("Enter");
      await page.waitForURL("**/devices/sensor-000042");
      await page.keyboard.press("Control+k");
      await box.fill("humidity");
      await page.getByRole("option", { name: /humidity/ }).waitFor();
      await box.press("Enter");
      await page.waitForURL("**/explore?*types=humidity*");
    }));

  test("a view is saved, pinned, shared by a read-only link, and revoked", () =>
    withPage("/devices?q=0001", async (page) => {
      await page.locator(".device-row").first().waitFor();
      await page.keyboard.press("v");
      const dialog = page.getByRole("dialog", { name: "Views" });
      await dialog.getByLabel("Name of the view").fill("The ones");
      await dialog.getByRole("button", { name: "Save view" }).click();
      await dialog.getByRole("link", { name: "The ones" }).waitFor();
      await dialog.getByRole("button", { name: "Pin" }).click();
      await dialog.getByRole("button", { name: "Pin", pressed: true }).waitFor();
      await dialog.getByRole("button", { name: "New link" }).click();
      const link = await dialog.getByRole("link", { name: "Read-only link" }).getAttribute("href");
      expect(await axe(page)).toEqual([]);

      const shared = await browser.context.newPage();
      await shared.goto(link ?? "");
      await shared.getByText("The ones").waitFor();
      await shared.locator(".device-row").first().waitFor();
      expect(await shared.getByRole("navigation").count()).toBe(0);
      expect(await axe(shared)).toEqual([]);

      await dialog.getByRole("button", { name: "Revoke" }).click();
      await dialog.getByRole("link", { name: "Read-only link" }).waitFor({ state: "detached" });
      await shared.reload();
      await shared.getByText("This link cannot be shown").waitFor();
      await shared.close();
    }));

  test("SQL: a result is a table and a chart; a refusal is in ClickHouse's words", () =>
    withPage("/explore?tab=sql", async (page) => {
      await page.getByLabel(/One SELECT/).press("Control+Enter");
      await page.getByText("10 rows in").waitFor();
      await page.locator(".sql-chart canvas").waitFor();
      expect(await page.locator(".sql-table tbody tr").count()).toBe(10);
      expect(await axe(page)).toEqual([]);
      await page.getByLabel(/One SELECT/).fill("DROP TABLE telemetry_events");
      await page.getByRole("button", { name: "Run" }).click();
      await page.getByText("Syntax error: failed at position 1.").waitFor();
    }));

  test("nothing went wrong on the way", () => expect(browser.faults).toEqual([]));
});
