import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { axe } from "./axe.ts";
import { type Browser, buildClient, live, noChromium, openBrowser, until } from "./harness.ts";

setDefaultTimeout(40_000);

describe.skipIf(noChromium)("charts and the time range", () => {
  let server: FixtureServer;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 14, devices: 300, intervalMs: 100, ties: true });
    browser = await openBrowser(() => server.url, { width: 1440, height: 900 });
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  const withPage = async (path: string, run: (page: Page) => Promise<void>): Promise<void> => {
    const page = await browser.page(path);
    await live(page);
    await run(page);
    await page.close();
  };
  /** Notes every canvas that comes into the page from now on. */
  const countCanvases = (page: Page): Promise<void> =>
    page.evaluate(() => {
      const made = { count: 0 };
      Object.assign(globalThis, { madeCanvases: made });
      new MutationObserver((records) => {
        for (const { addedNodes } of records)
          for (const node of addedNodes)
            if (node instanceof Element)
              made.count += node.matches(".uplot") ? 1 : node.querySelectorAll(".uplot").length;
      }).observe(document.body, { childList: true, subtree: true });
    });
  const madeCanvases = (page: Page): Promise<number> =>
    page.evaluate(() => (globalThis as unknown as { madeCanvases: { count: number } }).madeCanvases.count);
  const param = (page: Page, name: string): string | null => new URL(page.url()).searchParams.get(name);
  const dragOver = async (page: Page, selector: string): Promise<void> => {
    const box = (await page.locator(`${selector} .u-over`).first().boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.4, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2, { steps: 6 });
    await page.mouse.up();
  };

  test("types that tie: the live chart is made once, and its tooltip stays under the pointer", () =>
    withPage("/", async (page) => {
      await page.locator(".rate-panel .uplot").waitFor();
      await page.locator(".value-panel .uplot").waitFor();
      await countCanvases(page);
      await page.locator(".rate-panel .chart").hover({ position: { x: 400, y: 100 } });
      const tip = page.locator(".rate-panel .chart-tip");
      await tip.waitFor();
      const names = await page.locator(".rate-panel .legend-item span").allTextContents();
      const untilMs = Date.now() + 5_000;
      while (Date.now() < untilMs) {
        expect(await tip.isVisible()).toBe(true);
        await page.waitForTimeout(250);
      }
      expect(await madeCanvases(page)).toBe(0);
      expect(await page.locator(".rate-panel .legend-item span").allTextContents()).toEqual(names);
    }));

  test("types that tie: a device's series keep their order and their charts, and a text is no chart of numbers", () =>
    withPage("/devices/sensor-000004", async (page) => {
      await page.locator(".series-row canvas").nth(3).waitFor();
      await page.locator(".state-timeline li").first().waitFor();
      await countCanvases(page);
      const names = (): Promise<string[]> => page.locator(".series-name").allTextContents();
      const before = await names();
      const asked = server.stats.requests["/api/devices/sensor-000004"] ?? 0;
      await until(
        () => server.stats.requests["/api/devices/sensor-000004"] ?? 0,
        (count) => count >= asked + 3,
        15_000,
      );
      expect(await names()).toEqual(before);
      expect(await madeCanvases(page)).toBe(0);
      expect(await page.getByText("No numbers in this range").count()).toBe(0);
    }));

  test("a drag zooms, back undoes it, a double click goes to the page's own range", () =>
    withPage("/devices/sensor-000004?from=now-6h", async (page) => {
      await page.locator(".series-row canvas").first().waitFor();
      await dragOver(page, ".series-row");
      await page.waitForURL(/to=/);
      const span = Date.parse(param(page, "to")!) - Date.parse(param(page, "from")!);
      expect(span / 3_600_000).toBeGreaterThan(1);
      expect(span / 3_600_000).toBeLessThan(1.5);
      await page.goBack();
      expect(param(page, "from")).toBe("now-6h");
      await page.locator(".series-row canvas").first().waitFor();
      await page.locator(".series-row .u-over").first().dblclick();
      await page.waitForURL((url) => !url.searchParams.has("from"));
      expect(await page.locator(".time-button").textContent()).toBe("Last hour");
    }));

  test("the crosshair is in step on every chart", () =>
    withPage("/devices/sensor-000004", async (page) => {
      await page.locator(".series-row canvas").nth(3).waitFor();
      await page
        .locator(".series-row .u-over")
        .first()
        .hover({ position: { x: 200, y: 20 } });
      const lines = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>(".series-row .u-cursor-x")].map((line) => line.style.transform),
      );
      expect(lines.length).toBeGreaterThanOrEqual(4);
      expect(new Set(lines).size).toBe(1);
      expect(await page.locator(".series-values [data-cursor]").count()).toBe(lines.length);
    }));

  test("a legend's click isolates, a second brings all back, Ctrl switches one, and the keyboard works it too", () =>
    withPage("/", async (page) => {
      await page.locator(".rate-panel .uplot").waitFor();
      const items = page.locator(".rate-panel .legend-item");
      const shown = (): Promise<number> => page.locator(".rate-panel .legend-item[aria-pressed=true]").count();
      const all = await items.count();
      await items.nth(2).click();
      expect(await shown()).toBe(1);
      await items.nth(2).click();
      expect(await shown()).toBe(all);
      await items.nth(1).click({ modifiers: ["ControlOrMeta"] });
      expect(await shown()).toBe(all - 1);
      await items.nth(1).focus();
      await page.keyboard.press("Enter");
      expect(await shown()).toBe(1);
    }));

  test("a typed range, a preset, earlier and later; nonsense is refused by name; it follows from page to page", () =>
    withPage("/devices/sensor-000004", async (page) => {
      await page.locator(".time-button").click();
      await page.getByLabel("From", { exact: true }).fill("yesterday-ish");
      await page.getByRole("button", { name: "Apply" }).click();
      await page.getByText("From must be a time such as now-6h").waitFor();
      expect(await axe(page)).toEqual([]);
      await page.getByLabel("From", { exact: true }).fill("90m");
      await page.keyboard.press("Enter");
      await page.waitForURL(/from=now-90m/);
      await page.keyboard.press("g");
      await page.keyboard.press("e");
      await page.locator(".time-button", { hasText: "Last 90 minutes" }).waitFor();
      await page.locator(".time-button").click();
      await page.getByRole("button", { name: "Last 24 hours" }).click();
      await page.keyboard.press("g");
      await page.keyboard.press("l");
      await page.locator(".time-button", { hasText: "Last 24 hours" }).waitFor();
      await page.locator(".rate-panel .uplot").waitFor();
      await page.getByText("from what is stored").waitFor();
      await page.getByRole("button", { name: "Earlier" }).click();
      await page.waitForURL(/to=20/);
      await page.getByRole("button", { name: "Later" }).click();
    }));

  test("fingers on a phone: the picker is a sheet, and axe finds nothing in it", async () => {
    const page = await browser.page("/");
    await page.setViewportSize({ width: 390, height: 844 });
    await live(page);
    await page.locator(".time-button").click();
    const sheet = (await page.locator(".popover:popover-open").boundingBox())!;
    expect(Math.round(sheet.y + sheet.height)).toBe(844);
    expect(sheet.width).toBe(390);
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press("Escape");
    // Health and the silent devices come before everything else.
    const bottom = async (selector: string): Promise<number> => {
      const box = (await page.locator(selector).first().boundingBox())!;
      return box.y + box.height;
    };
    await page.locator(".silent-now li").first().waitFor();
    expect(await bottom(".tiles")).toBeLessThan(844);
    expect(await bottom(".silent-now li")).toBeLessThan(844);
    await page.close();
  });
});
