import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { createFixtureServer, type FixtureServer } from "../../client/dev/fixture-server.ts";
import { type Browser, buildClient, live, noChromium, openBrowser, until } from "./harness.ts";

setDefaultTimeout(40_000);

describe.skipIf(noChromium)("live page", () => {
  let server: FixtureServer;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    buildClient();
    server = createFixtureServer({ types: 12 });
    browser = await openBrowser(() => server.url);
  }, 60_000);
  afterEach(async () => {
    Object.assign(server.scene, { rate: null, empty: false, clickhouse: "ok", quiet: false, key: "", failStatus: 0 });
    await page.close();
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  const rate = (): Promise<string | null> => page.getByTestId("rate").textContent();
  const showsRate = (text: string): Promise<string | null> => until(rate, (value) => value === text);

  test("a figure that changes at the server changes on the page", async () => {
    server.scene.rate = 1234;
    page = await browser.page("/");
    await showsRate("1,234");
    server.scene.rate = 4321;
    await showsRate("4,321");
  });

  test("ten types, their figures and a chart are drawn, with no fault in the console", async () => {
    page = await browser.page("/");
    await page.locator(".rate-panel canvas").waitFor();
    await page.locator(".value-panel canvas").waitFor();
    expect(await page.locator("table.types tbody tr").count()).toBe(12);
    expect(await page.locator("table.types tbody tr").first().locator("td").nth(1).textContent()).toMatch(/^[\d,]+$/);
    expect(browser.faults).toEqual([]);
  });

  test("pause holds what is shown while data goes on, and resume jumps to now", async () => {
    server.scene.rate = 100;
    page = await browser.page("/");
    await showsRate("100");
    await page.keyboard.press("Space");
    await page.getByText("Paused.").waitFor();
    const row = page.locator("table.types tbody tr").first();
    const before = [await row.textContent(), await page.locator(".updated time").textContent()];
    server.scene.rate = 999;
    const bytes = await receivedUpdates(page, 15);
    expect(bytes).toBeGreaterThanOrEqual(15);
    expect(await rate()).toBe("100");
    expect([await row.textContent(), await page.locator(".updated time").textContent()]).toEqual(before);
    await page.keyboard.press("Space");
    await showsRate("999");
  });

  test("a pointer on the chart holds it, unless it is to keep updating", async () => {
    page = await browser.page("/");
    await page.locator(".rate-panel canvas").waitFor();
    await page.locator(".rate-panel .chart").hover();
    await page.locator(".rate-panel .chart[data-held]").waitFor();
    await page.keyboard.press("f");
    await page.waitForURL(/play=force/);
    await page.locator(".rate-panel .chart:not([data-held])").waitFor();
  });

  test("sorting and filtering keep to what the URL says", async () => {
    page = await browser.page("/?q=e&sort=event_type");
    await live(page);
    await page.locator("table.types tbody tr").first().waitFor();
    const names = await page.locator("table.types .type-name").allTextContents();
    expect(names).toEqual([...names].sort((a, b) => a.localeCompare(b)));
    expect(names.every((name) => name.includes("e"))).toBe(true);
    await page.getByRole("button", { name: "Rate /s" }).click();
    await page.waitForURL(/sort=rate/);
    expect(await page.locator("th.col-rate").getAttribute("aria-sort")).toBe("descending");
  });

  test("rows that do not change are not touched", async () => {
    server.scene.quiet = true;
    page = await browser.page("/");
    // Before it is live, the page shows what an earlier visit has kept.
    await live(page);
    await page.locator(".rate-panel canvas").waitFor();
    // The first update comes in its own time, and the order of the rows follows within a second; then nothing may move.
    await until(
      () => tableChanges(page, 1_100),
      (changes) => changes === 0,
    );
    expect(await tableChanges(page, 1_500)).toBe(0);
  });

  test("nothing ever posted: the page shows the command that posts", async () => {
    server.scene.empty = true;
    page = await browser.page("/");
    await page.getByText("No events yet").waitFor();
    expect(await page.locator(".first-event code").textContent()).toContain(`${server.url}/ingest`);
    server.scene.empty = false;
    await page.locator("table.types tbody tr").first().waitFor();
  });

  test("ClickHouse away: said in words, with how much is waiting", async () => {
    server.scene.clickhouse = "unavailable";
    page = await browser.page("/");
    await page.getByText("ClickHouse is unavailable.").waitFor();
    await page.getByText(/are waiting, nothing is lost/).waitFor();
  });

  test("a server killed and started again: the age of the data is shown, then live resumes after the last message", async () => {
    page = await browser.page("/");
    await live(page);
    const { port } = server;
    await server.stop();
    await page
      .getByTestId("connection-detail")
      .getByText(/Reconnecting, data is \d+ s old/)
      .waitFor();
    server = createFixtureServer({ types: 12, port, rate: 777 });
    await live(page);
    await showsRate("777");
    expect(server.stats.lastEventIds[0]).toMatch(/^[a-z0-9]+-\d+$/);
  });

  test("a quiet fleet is live, not lost", async () => {
    server.scene.quiet = true;
    page = await browser.page("/");
    await live(page);
    expect(await page.locator(".strip").count()).toBe(0);
  });

  test("a key is asked for, a wrong one is refused, the right one opens the page", async () => {
    server.scene.key = "right";
    page = await browser.page("/?from=now-1m");
    await page.getByLabel("Viewer key").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("This key is not accepted.").waitFor();
    await page.getByLabel("Viewer key").fill("right");
    await page.keyboard.press("Enter");
    await live(page);
    await page.locator("table.types tbody tr").first().waitFor();
    expect(page.url()).toContain("from=now-1m");
  });

  test("two tabs, one stream; it passes on when its tab closes", async () => {
    page = await browser.page("/");
    await live(page);
    const ever = server.stats.streamsEver;
    const second = await browser.page("/pipeline");
    await live(second);
    const third = await browser.page("/");
    await live(third);
    await third.locator("table.types tbody tr").first().waitFor();
    expect(server.stats.openStreams).toBe(1);
    expect(server.stats.streamsEver).toBe(ever);
    await page.close();
    await until(
      () => server.stats.streamsEver,
      (count) => count === ever + 1,
    );
    server.scene.rate = 555;
    page = third;
    await showsRate("555");
    await until(
      () => server.stats.openStreams,
      (count) => count === 1,
    );
    await second.close();
  });
});

/** Counts the updates that reach this tab until there are `count`. */
function receivedUpdates(page: Page, count: number): Promise<number> {
  return page.evaluate(
    (wanted) =>
      new Promise<number>((resolve) => {
        let seen = 0;
        const channel = new BroadcastChannel("sluice:/dashboard-stream?limit=200");
        channel.onmessage = (event: MessageEvent<{ kind: string }>) => {
          if (event.data.kind !== "message") return;
          seen += 1;
          if (seen < wanted) return;
          channel.close();
          resolve(seen);
        };
      }),
    count,
  );
}

/** How often the document of the type table changes within a time. */
function tableChanges(page: Page, withinMs: number): Promise<number> {
  return page.evaluate(
    (ms) =>
      new Promise<number>((resolve) => {
        let count = 0;
        const observer = new MutationObserver((records) => {
          count += records.length;
        });
        observer.observe(document.querySelector("table.types tbody")!, {
          subtree: true,
          childList: true,
          characterData: true,
        });
        setTimeout(() => {
          observer.disconnect();
          resolve(count);
        }, ms);
      }),
    withinMs,
  );
}
