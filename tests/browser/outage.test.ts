import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { axe } from "./axe.ts";
import { type Browser, buildClient, live, noChromium, openBrowser, until } from "./harness.ts";

setDefaultTimeout(40_000);

const calm = { silentEvery: 0, outage: "", deadLetters: 0, starting: false, clickhouse: "ok", empty: false } as const;

describe.skipIf(noChromium)("an outage is seen, and nothing else is claimed", () => {
  let server: FixtureServer;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 6, devices: 500, intervalMs: 200, ...calm });
    browser = await openBrowser(() => server.url, { width: 1440, height: 900 });
  }, 60_000);
  afterEach(() => {
    Object.assign(server.scene, calm);
  });
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
  const icon = (page: Page): Promise<string | null> => page.locator("link[rel=icon]").getAttribute("href");

  test("devices that fall silent are on Live, in the navigation, in the title and on the icon, from any page", () =>
    withPage("/", async (page) => {
      expect(await page.title()).toBe("Live · Sluice");
      const calmIcon = await icon(page);
      server.scene.outage = "site-4";
      await until(
        () => page.title(),
        (title) => title === "100 silent · Live · Sluice",
      );
      expect(await page.getByTestId("silent").textContent()).toBe("100");
      expect(await page.getByTestId("online").textContent()).toBe("400");
      expect(await page.locator(".nav-count").textContent()).toBe("100 silent");
      expect(await icon(page)).toStartWith("data:image/png");
      await page.keyboard.press("g");
      await page.keyboard.press("p");
      await until(
        () => page.title(),
        (title) => title === "100 silent · Pipeline · Sluice",
      );
      server.scene.outage = "";
      await until(
        () => page.title(),
        (title) => title === "Pipeline · Sluice",
      );
      expect(await icon(page)).toBe(calmIcon);
    }));

  test("every number of the health of the fleet leads to its list", () =>
    withPage("/", async (page) => {
      server.scene.silentEvery = 11;
      server.scene.deadLetters = 3;
      for (const [name, url] of [
        ["Online", /\/devices\?status=online/],
        ["Silent", /\/devices\?status=silent/],
        ["New", /\/devices\?sort=-first_seen/],
        ["Events/s", /\/explore/],
        ["Write delay", /\/pipeline$/],
        ["Dead letters", /\/pipeline#dead-letters/],
      ] as const) {
        await page.locator(".tile", { has: page.getByText(name, { exact: true }) }).click();
        await until(
          () => page.url(),
          (now) => url.test(now),
        );
        await page.goBack();
        await page.locator(".tile").first().waitFor();
      }
    }));

  test("ClickHouse away: the header, Live, a device and an empty list say so, and come back by themselves", () =>
    withPage("/devices/sensor-000001", async (page) => {
      await page.locator(".series-row canvas").first().waitFor();
      server.scene.clickhouse = "unavailable";
      await page.locator(".connection", { hasText: "Live, not stored" }).waitFor();
      await until(
        () => page.title(),
        (title) => title.startsWith("Not stored · "),
      );
      const other = await browser.page("/devices/sensor-000002");
      await other.getByText("The stored figures of this device cannot be read.").waitFor();
      expect(await other.getByText("Its events carry none.").count()).toBe(0);
      await other.goto(`${server.url}/devices`);
      await other.getByText("The list of devices is not up to date.").waitFor();
      expect(await other.getByText("No device has reported yet").count()).toBe(0);
      expect(await axe(other)).toEqual([]);
      server.scene.clickhouse = "ok";
      await other.locator(".device-space .device-row").first().waitFor();
      await other.getByText("The list of devices is not up to date.").waitFor({ state: "detached" });
      await other.close();
    }));

  test("dead letters are not under a sign that all is well", () =>
    withPage("/pipeline", async (page) => {
      await page.getByText("All systems operational").waitFor();
      server.scene.deadLetters = 2;
      await page.getByText("Storing events, but not all of them").waitFor();
      expect(await page.getByText("All systems operational").count()).toBe(0);
      await page.locator(".nav-count[data-tone=bad]").waitFor();
    }));

  test("starting is a state of its own, and what waits for ClickHouse is read when it is there", () =>
    withPage("/pipeline", async (page) => {
      server.scene.starting = true;
      await page.locator(".connection", { hasText: "Starting" }).waitFor();
      await page.getByRole("heading", { name: "Starting" }).waitFor();
      const explore = await browser.page("/");
      await explore.getByText("Sluice is starting.").waitFor();
      server.scene.starting = false;
      await explore.locator(".value-panel canvas").waitFor();
      await explore.locator(".change").first().waitFor();
      await page.getByText("All systems operational").waitFor();
      await explore.close();
    }));

  test("waiting for the first event turns green when it is there", () =>
    withPage("/", async (page) => {
      server.scene.empty = true;
      await page.getByText("Waiting for your first event").waitFor();
      expect(await axe(page)).toEqual([]);
      const panel = (): Promise<string | null> => page.locator(".first-event code").textContent();
      for (const [tab, command] of [
        ["Python", "urllib.request"],
        ["Simulator", "npm run simulate"],
        ["This machine", "npm run device"],
        ["curl", "curl "],
      ] as const) {
        await page.getByRole("tab", { name: tab }).click();
        expect(await panel()).toContain(command);
        expect(await panel()).toContain(server.url);
      }
      await page.getByRole("tab", { name: "curl" }).focus();
      await page.keyboard.press("ArrowRight");
      expect(await panel()).toContain("urllib.request");
      server.scene.empty = false;
      await page.locator(".waiting[data-state=arrived]", { hasText: "Your event has arrived." }).waitFor();
      await page.locator("table.types tbody tr").first().waitFor();
    }));

  test("one event type is one, and nobody can sign out who is not signed in", () =>
    withPage("/", async (page) => {
      server.scene.types = 1;
      await page.getByText(/^1 type/).waitFor();
      server.scene.types = 6;
      await page.keyboard.press("?");
      await page.getByRole("dialog").waitFor();
      expect(await page.getByRole("button", { name: "Sign out" }).count()).toBe(0);
    }));

  test("a device may be called . or ..", async () => {
    for (const id of [".", ".."]) {
      const page = await browser.page("/devices/sensor-000001");
      await live(page);
      await page.evaluate((path) => history.pushState(null, "", path), `/devices/~${id}`);
      await page.reload();
      await page.getByRole("heading", { name: id, exact: true }).waitFor();
      expect(server.stats.requests[`/api/devices/~${id}`]).toBeGreaterThan(0);
      await page.close();
    }
  });

  test("a wall screen cuts nothing off", async () => {
    const page = await browser.page("/?wall=1");
    await page.locator("table.types tbody tr").first().waitFor();
    await page.locator(".rate-panel canvas").waitFor();
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll(".types th, .types td, .tile-value, .tile-label")]
        .filter((cell) => getComputedStyle(cell).display !== "none")
        .filter((cell) => cell.scrollWidth > cell.clientWidth + 1 || cell.getBoundingClientRect().right > innerWidth)
        .map((cell) => cell.textContent),
    );
    expect(cut).toEqual([]);
    expect(
      await page.evaluate(() => {
        const scroll = document.querySelector(".types")!.parentElement!;
        return scroll.scrollWidth - scroll.clientWidth;
      }),
    ).toBeLessThanOrEqual(0);
    await page.close();
  });
});
