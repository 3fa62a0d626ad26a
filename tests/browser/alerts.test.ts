import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { axe } from "./axe.ts";
import { type Browser, buildClient, noChromium, openBrowser } from "./harness.ts";

setDefaultTimeout(40_000);

const phone = { width: 390, height: 844 };

describe.skipIf(noChromium)("alerts", () => {
  let server: FixtureServer;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 12, devices: 500, alerts: 5 });
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

  for (const theme of ["light", "dark"] as const) {
    test(`axe finds nothing on any part of the page, ${theme}`, () =>
      withPage(`/alerts?theme=${theme}`, async (page) => {
        for (const [tab, ready] of [
          ["", "sensor-000005 has stopped reporting"],
          ["tab=history", "Resolved"],
          ["tab=rules&rule=new", "Fill in the condition"],
          ["tab=channels", "This browser"],
          ["tab=silences", "They mute messages"],
        ] as const) {
          for (const size of [{ width: 1280, height: 800 }, phone]) {
            await page.setViewportSize(size);
            await page.goto(`${server.url}/alerts?${tab}&theme=${theme}`);
            await page.getByText(ready).first().waitFor();
            expect([tab, await axe(page)]).toEqual([tab, []]);
            expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(size.width);
          }
        }
        await page.getByRole("button", { name: "New silence" }).click();
        await page.getByRole("dialog").waitFor();
        expect(await axe(page)).toEqual([]);
        await page.goto(`${server.url}/alerts?tab=channels&theme=${theme}`);
        await page.getByRole("button", { name: "New channel" }).click();
        await page.getByRole("dialog").waitFor();
        expect(await axe(page)).toEqual([]);
      }));
  }

  test("the list follows the stream, worst first", () =>
    withPage("/alerts", async (page) => {
      await page.locator(".alert-row").nth(4).waitFor();
      expect(await page.locator(".alert-row .severity").allTextContents()).toEqual([
        "Critical",
        "Critical",
        "Warning",
        "Warning",
        "Info",
      ]);
      server.scene.alerts = 1;
      await page.locator(".alert-row").nth(1).waitFor({ state: "detached", timeout: 5_000 });
      server.scene.alerts = 5;
      await page.locator(".alert-row").nth(4).waitFor({ timeout: 5_000 });
    }));

  test("a rule is written by keyboard, says what it would have done, and is changed", () =>
    withPage("/alerts?tab=rules", async (page) => {
      await page.getByRole("button", { name: "New rule" }).press("Enter");
      await page.getByLabel("Name").fill("Too hot");
      await page.getByRole("button", { name: "Add rule" }).press("Enter");
      // The first field that has to change is named, and nothing was sent.
      await page.getByText("Choose an event type.").waitFor();
      await page.getByLabel("Event type").fill("temperature");
      await page.getByLabel("Threshold").fill("80");
      await page.getByText("It would have fired 3 times in the last week.").waitFor();
      await page.locator(".rule-chart canvas").waitFor();
      await page.getByRole("button", { name: "Add rule" }).press("Enter");
      await page.getByText("temperature: avg over 1m above 80").waitFor();
      await page.getByRole("button", { name: "Edit Too hot" }).click();
      expect(await page.getByLabel("Threshold").inputValue()).toBe("80");
      expect(page.url()).toContain("rule=id-");
      await page.getByLabel("Threshold").fill("85");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("temperature: avg over 1m above 85").waitFor();
    }));

  test("an alert is acknowledged and muted", () =>
    withPage("/alerts", async (page) => {
      const first = page.locator(".alert-row").first();
      await first.getByRole("button", { name: "Acknowledge" }).click();
      await first.getByText("acknowledged by operator").waitFor();
      await first.getByRole("button", { name: "Mute" }).click();
      const dialog = page.getByRole("dialog");
      expect(await dialog.getByLabel("Rule").inputValue()).toBe("Silent device");
      await dialog.getByRole("button", { name: "Mute" }).click();
      await dialog.waitFor({ state: "detached" });
      await page.goto(`${server.url}/alerts?tab=silences`);
      await page.getByText("rule = Silent device, device_id = sensor-000005").waitFor();
    }));

  test("a new channel shows its secret once, and takes a test", () =>
    withPage("/alerts?tab=channels", async (page) => {
      await page.getByRole("button", { name: "New channel" }).click();
      await page.getByLabel("Name").fill("pager");
      await page.getByLabel("URL").fill("https://example.org/hook");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByText("whsec_made-for-the-fixture").waitFor();
      await page.getByRole("button", { name: "Done" }).click();
      await page.getByRole("button", { name: "Send a test to pager" }).click();
      await page.getByText("Delivered in 12 ms").waitFor();
    }));

  test("an empty page offers rules to begin with", async () => {
    server.scene.alerts = 0;
    const fresh = createFixtureServer({ types: 3 });
    try {
      await withPage("/", async (page) => {
        await page.goto(`${fresh.url}/alerts`);
        await page.getByRole("button", { name: "Add the rule Silent device" }).click();
        await page.getByText("1 rule is being watched.").waitFor();
      });
    } finally {
      await fresh.stop();
    }
  });

  test("nothing went wrong on the way", () => expect(browser.faults).toEqual([]));
});
