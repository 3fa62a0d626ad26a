import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Service } from "../../testing/test-service.ts";
import { axe } from "./axe.ts";
import { type Browser, buildClient, noChromium, openBrowser, startReadyService, until } from "./harness.ts";

setDefaultTimeout(90_000);

const intervalMs = 500;
const calm = 20;
const hot = 99;

/** A real rule fires for one device: whoever looks anywhere sees it, says that he has, and it goes again. */
describe.skipIf(noChromium)("an alert that fires, on the real service", () => {
  let service: Service;
  let browser: Browser;
  let timer: ReturnType<typeof setInterval>;
  const values = { "device-3": calm };

  beforeAll(async () => {
    buildClient();
    service = await startReadyService();
    timer = setInterval(() => {
      const events = Array.from({ length: 8 }, (_, index) => ({
        device_id: `device-${index}`,
        event_type: "temperature",
        value_float: index === 3 ? values["device-3"] : calm,
        metadata: { site: "north" },
      }));
      void service.ingest({ events });
    }, intervalMs);
    browser = await openBrowser(() => service.url, { width: 1440, height: 900 });
  });
  afterAll(async () => {
    clearInterval(timer);
    await browser?.close();
    await service?.stop();
    await service?.dispose();
  });

  test("it is in the title, the navigation, the list and on every chart, can be acknowledged, and goes", async () => {
    const created = await fetch(`${service.url}/api/alerts/rules`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        name: "Too hot",
        severity: "critical",
        message: "{{device_id}} is at {{value}}",
        when: { kind: "value", event_type: "temperature", measure: "last", by: "device", above: 50 },
      }),
    });
    expect(created.status).toBeLessThan(300);
    const page = await browser.page("/");
    await page.locator(".value-panel canvas").waitFor();
    expect(await page.locator(".chart[data-alerts]").count()).toBe(0);
    const icon = () => page.locator("link[rel=icon]").getAttribute("href");
    const calmIcon = await icon();

    values["device-3"] = hot;
    await until(
      () => page.title(),
      (title) => title.startsWith("1 alert · Live"),
      20_000,
    );
    expect(await icon()).not.toBe(calmIcon);
    await page.locator(".nav-count[title='1 firing']").first().waitFor();
    await page.locator(".rate-panel .chart[data-alerts='1']").waitFor();
    await page.locator(".value-panel .chart[data-alerts='1']").waitFor();
    const box = (await page.locator(".value-panel .u-over").boundingBox())!;
    // The tooltip follows the pointer, and the stored second in which it fired may still be on its way.
    await until(
      async () => {
        await page.mouse.move(box.x + box.width - 3 - (Date.now() % 3), box.y + 20 + (Date.now() % 7));
        return page.locator(".value-panel .chart-tip-note").allTextContents();
      },
      (notes) => notes.includes("device-3 is at 99"),
      20_000,
    );

    await page.goto(`${service.url}/devices`);
    const row = page.locator(".device-space .device-row", { hasText: "device-3" });
    await row.locator(".severity[data-severity=critical]").waitFor();
    expect(await row.getAttribute("title")).toContain("device-3 is at 99");
    expect(await page.locator(".device-space .severity").count()).toBe(1);
    expect(await axe(page)).toEqual([]);
    await page.goto(`${service.url}/devices/device-3`);
    await page.locator(".series-row .chart[data-alerts='1']").waitFor();
    await page.goto(`${service.url}/devices/device-4`);
    await page.locator(".series-row canvas").waitFor();
    expect(await page.locator(".chart[data-alerts]").count()).toBe(0);
    await page.goto(`${service.url}/explore?from=now-5m`);
    await page.locator(".explore-main[data-alerts='1']").waitFor();
    await page.locator(".explore-main .apexcharts-xaxis-annotations rect").first().waitFor();
    expect(await axe(page)).toEqual([]);

    await page.goto(`${service.url}/alerts`);
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByText("acknowledged by").waitFor();
    values["device-3"] = calm;
    await page.locator(".blank-title", { hasText: "Nothing is firing" }).waitFor({ timeout: 20_000 });
    await until(
      () => page.title(),
      (title) => title === "Alerts · Sluice",
    );
    expect(browser.faults).toEqual([]);
  });
});
