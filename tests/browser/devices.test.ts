import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { axe } from "./axe.ts";
import { type Browser, buildClient, noChromium, openBrowser, until } from "./harness.ts";

setDefaultTimeout(40_000);

describe.skipIf(noChromium)("devices", () => {
  let server: FixtureServer;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 6, devices: 2_000, intervalMs: 200 });
    browser = await openBrowser(() => server.url, { width: 1440, height: 900 });
  }, 60_000);
  afterEach(() => {
    Object.assign(server.scene, { silentEvery: 11, outage: "" });
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  const withPage = async (path: string, run: (page: Page) => Promise<void>): Promise<void> => {
    const page = await browser.page(path);
    await page.locator(".device-space .device-row").first().waitFor();
    await run(page);
    await page.close();
  };
  const statuses = (page: Page): Promise<string[]> => page.locator(".device-space .cell-status").allTextContents();
  const count = (page: Page): Promise<string | null> => page.locator(".device-count").textContent();

  test("the list of the silent empties when they come back, and fills when a site falls silent", () =>
    withPage("/devices?status=silent", async (page) => {
      expect(await count(page)).toBe("182 devices match");
      server.scene.silentEvery = 0;
      await page.getByText("No device is silent").waitFor();
      expect(await page.locator(".device-space .device-row").count()).toBe(0);
      server.scene.outage = "site-4";
      await until(
        () => count(page),
        (text) => text === "400 devices match",
      );
      expect(new Set(await statuses(page))).toEqual(new Set(["Silent"]));
      expect(new Set(await page.locator(".device-space .cell-meta-site").allTextContents())).toEqual(
        new Set(["site-4"]),
      );
    }));

  test("under the pointer no row moves, each says what it is now, and a pill says how many have changed", () =>
    withPage("/devices?status=silent", async (page) => {
      await page.locator(".device-space .device-row").nth(3).hover();
      const first = await page.locator(".device-space .cell-device_id").first().textContent();
      server.scene.silentEvery = 0;
      const pill = page.locator(".changes-pill");
      await pill.waitFor();
      await until(
        () => statuses(page),
        (all) => all.slice(0, 20).every((status) => status === "Online"),
      );
      expect(await page.locator(".device-space .cell-device_id").first().textContent()).toBe(first);
      expect(await pill.textContent()).toMatch(/^\d+ changes$/);
      await pill.click();
      await page.getByText("No device is silent").waitFor();
    }));

  test("silent longest comes first, until someone sorts", () =>
    withPage("/devices?status=silent", async (page) => {
      expect(await page.locator(".cell-last_seen[aria-sort]").getAttribute("aria-sort")).toBe("ascending");
      const ages = await page.locator(".device-space .cell-last_seen").allTextContents();
      expect(ages[0]).toMatch(/h ago/);
    }));

  test("j, k and Enter; back comes to the same filter and the same place", () =>
    withPage("/devices?meta.site=site-2", async (page) => {
      const id = (): Promise<string | null> => page.evaluate(() => document.activeElement?.textContent ?? null);
      await page.keyboard.press("j");
      const first = await id();
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      const third = await id();
      expect(third).not.toBe(first);
      await page.keyboard.press("k");
      await page.keyboard.press("k");
      expect(await id()).toBe(first);
      await page.locator(".device-scroll").evaluate((element) => element.scrollTo(0, 2_160));
      await until(
        () => page.evaluate(() => JSON.stringify(history.state)),
        (state) => state?.includes("2160") === true,
      );
      await page.locator(".device-scroll").focus();
      await page.keyboard.press("j");
      const opened = await until(id, (text) => text?.startsWith("sensor-") === true);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: opened! }).waitFor();
      await page.goBack();
      await page.locator(".device-space .device-row").first().waitFor();
      await until(
        () => page.locator(".device-scroll").evaluate((element) => element.scrollTop),
        (top) => Math.abs(top - 2_160) < 80,
      );
      expect(page.url()).toContain("meta.site=site-2");
      await page.locator(".device-space .row-link", { hasText: opened! }).waitFor();
    }));

  test("a click anywhere on a row opens it", () =>
    withPage("/devices", async (page) => {
      const row = page.locator(".device-space .device-row").nth(4);
      const id = await row.locator(".cell-device_id").textContent();
      const box = (await row.locator(".cell-event_count").boundingBox())!;
      await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
      await page.getByRole("heading", { name: id! }).waitFor();
    }));

  test("facets filter, and the filter follows to Live", () =>
    withPage("/devices", async (page) => {
      await page.locator(".facet-value", { hasText: "4.1.7" }).click();
      await page.waitForURL(/meta\.firmware=4\.1\.7/);
      await until(
        () => count(page),
        (text) => text === "286 devices match",
      );
      await page.getByRole("link", { name: "Live", exact: true }).click();
      await page.locator(".chip", { hasText: "4.1.7" }).waitFor();
      await until(
        () => page.getByTestId("silent").textContent(),
        (text) => text === "26",
      );
    }));

  test("a filter on Live holds for every number, type and change; without it they are the fleet's again", async () => {
    server.scene.rate = 1_000;
    const page = await browser.page("/?meta.site=site-3");
    const rate = () => page.getByTestId("rate").textContent();
    await until(rate, (text) => text === "200");
    expect(await page.getByTestId("online").textContent()).toBe("364");
    expect(await page.locator("table.types .col-spark").count()).toBe(0);
    const events = async () => Number((await page.getByTestId("events").textContent())?.replace(/\D/g, ""));
    const ofPart = await events();
    const groups = page.locator(".change[data-kind=outage] a");
    await groups.first().waitFor();
    expect(new Set(await groups.allTextContents())).toEqual(new Set(["site-3"]));
    expect(await axe(page)).toEqual([]);
    await page.locator(".chip", { hasText: "site-3" }).getByRole("button").click();
    await until(rate, (text) => text === "1,000");
    expect((await events()) / ofPart).toBeGreaterThan(4);
    await page.locator("table.types .col-spark").first().waitFor();
    await page.locator(".change[data-kind=outage] a", { hasText: "site-2" }).first().waitFor();
    await page.close();
    server.scene.rate = null;
  });

  for (const theme of ["light", "dark"] as const) {
    test(`on a phone the facets are a sheet, worked by keyboard, and axe finds nothing in it: ${theme}`, async () => {
      const page = await browser.page(`/devices?theme=${theme}`);
      await page.setViewportSize({ width: 390, height: 844 });
      await page.locator(".device-space .device-row").first().waitFor();
      await page.getByRole("button", { name: "Filter", exact: true }).press("Enter");
      const sheet = page.locator(".facet-sheet .popover:popover-open");
      const value = sheet.locator(".facet-value", { hasText: "site-3" });
      await value.waitFor();
      const box = (await sheet.boundingBox())!;
      expect([Math.round(box.x), Math.round(box.width), Math.round(box.y + box.height)]).toEqual([0, 390, 844]);
      expect(await axe(page)).toEqual([]);
      await value.press("Enter");
      await page.waitForURL(/meta\.site=site-3/);
      await page.keyboard.press("Escape");
      await sheet.waitFor({ state: "hidden" });
      await page.getByRole("button", { name: "Filter (1)" }).waitFor();
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: /Search pages/ }).waitFor();
      expect(await axe(page)).toEqual([]);
      await page.keyboard.press("Escape");
      await page.keyboard.press("v");
      await page.getByRole("dialog", { name: "Views" }).waitFor();
      expect(await axe(page)).toEqual([]);
      await page.close();
    });
  }

  test("groups open to their devices, the silent first", async () => {
    const page = await browser.page("/devices?group=meta.site");
    const group = page.locator("button.group-row", { hasText: "site-3" });
    await group.click();
    await page.locator(".group-devices li a").first().waitFor();
    expect(await page.locator(".group-devices .status").first().textContent()).toBe("Silent");
    expect(await axe(page)).toEqual([]);
    await page.getByRole("button", { name: "All 400 devices of site-3" }).click();
    await page.waitForURL(/meta\.site=site-3/);
    await page.locator(".device-space .device-row").first().waitFor();
    await page.close();
  });

  test("columns to choose are in the URL, and the file has the filtered list in them", () =>
    withPage("/devices?meta.site=site-5&status=silent", async (page) => {
      await page.getByRole("button", { name: "Columns" }).click();
      await page.getByRole("checkbox", { name: "rack" }).check();
      await page.getByRole("checkbox", { name: "Reports" }).uncheck();
      expect(await axe(page)).toEqual([]);
      await page.keyboard.press("Escape");
      expect(new URL(page.url()).searchParams.get("cols")).toContain("meta.rack");
      await page.locator(".device-head .cell-meta-rack").waitFor();
      await page.getByRole("button", { name: "Columns" }).click();
      await page.getByRole("checkbox", { name: "temperature", exact: true }).check();
      expect(await axe(page)).toEqual([]);
      await page.keyboard.press("Escape");
      await page
        .locator(".device-space .cell-last-temperature", { hasText: /^2\d\.\d/ })
        .first()
        .waitFor();
      const download = page.waitForEvent("download");
      await page.getByRole("button", { name: "CSV" }).click();
      const lines = readFileSync(await (await download).path(), "utf8")
        .trim()
        .split("\r\n");
      expect(lines[0]).toBe(
        "device_id,status,last_seen,event_count,meta.site,meta.firmware,meta.rack,last.temperature",
      );
      expect(lines.length - 1).toBe(36);
      expect(lines.slice(1).every((line) => line.includes(",silent,") && line.includes(",site-5,"))).toBe(true);
    }));
});
