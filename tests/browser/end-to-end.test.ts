import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import type { Service } from "../../testing/test-service.ts";
import { type Browser, buildClient, live, noChromium, openBrowser, startReadyService, until } from "./harness.ts";

setDefaultTimeout(60_000);

async function post(url: string, events: object[]): Promise<void> {
  const answer = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ events }),
  });
  if (answer.status !== 202) throw new Error(`POST /ingest answered ${answer.status}: ${await answer.text()}`);
}

/** Text of the page's event count, and when it last changed, on the page's clock. */
async function watchCount(page: Page): Promise<void> {
  await page.evaluate(() => {
    const figure = document.querySelector("[data-testid=events]")!;
    const seen: { count: number; atMs: number }[] = [];
    const note = (): void => {
      seen.push({ count: Number((figure.textContent ?? "").replace(/\D/g, "")), atMs: Date.now() });
    };
    new MutationObserver(note).observe(figure, { subtree: true, childList: true, characterData: true });
    note();
    Object.assign(globalThis, { seenCounts: seen });
  });
}

describe.skipIf(noChromium)("the real service in a browser", () => {
  let service: Service;
  let browser: Browser;

  beforeAll(async () => {
    buildClient();
    service = await startReadyService();
    browser = await openBrowser(() => service.url);
  });
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
    await service?.dispose();
  });

  test("an empty service shows how to begin; a posted event's numbers appear, and its device has a page", async () => {
    const page = await browser.page("/");
    await page.getByText("No events yet").waitFor();
    await post(service.url, [
      { device_id: "boiler 1/ü", event_type: "temperature", value_float: 21.5, metadata: { room: "cellar" } },
    ]);
    const row = page.locator("table.types tbody tr", { hasText: "temperature" });
    await row.waitFor();
    // Cells outside the window are not kept up to date.
    await row.scrollIntoViewIfNeeded();
    expect(await row.locator("td.col-event_count").textContent()).toBe("1");
    expect(await row.locator("td.col-avg_value").textContent()).toBe("21.50");
    await post(service.url, [{ device_id: "boiler 1/ü", event_type: "temperature", value_float: 22.5 }]);
    await until(
      () => row.locator("td.col-avg_value").textContent(),
      (text) => text === "22.00",
    );

    await page.getByRole("link", { name: "Devices" }).click();
    await page.getByRole("link", { name: "boiler 1/ü" }).click();
    await page.getByRole("heading", { name: "boiler 1/ü" }).waitFor();
    await page.locator(".connection").waitFor();
    await page.getByText("as they arrive").waitFor();
    await post(service.url, [{ device_id: "boiler 1/ü", event_type: "temperature", value_float: 99.25 }]);
    await page.locator(".tail td", { hasText: "99.25" }).first().waitFor();
    await page.getByRole("link", { name: "Pipeline" }).click();
    await page.getByText("All systems operational").waitFor();
    await page.close();
  });

  test("POST to changed text on the page: p99 within 200 ms at 2,000 events a second", async () => {
    const page = await browser.page("/");
    await live(page);
    await watchCount(page);
    const eventsPerPost = 100;
    const posts: { count: number; atMs: number }[] = [];
    let count = (await until(
      () => page.getByTestId("events").textContent(),
      (text) => /\d/.test(text ?? ""),
    ))!.replace(/\D/g, "");
    let total = Number(count);
    const startMs = Date.now();
    for (let index = 0; index < 160; index++) {
      const dueMs = startMs + index * 50;
      if (dueMs > Date.now()) await Bun.sleep(dueMs - Date.now());
      total += eventsPerPost;
      posts.push({ count: total, atMs: Date.now() });
      await post(
        service.url,
        Array.from({ length: eventsPerPost }, (_, each) => ({
          device_id: `d${each}`,
          event_type: `type-${each % 20}`,
          value_float: index + each,
        })),
      );
    }
    await until(
      () => page.getByTestId("events").textContent(),
      (text) => Number((text ?? "").replace(/\D/g, "")) >= total,
    );
    const seen = await page.evaluate(
      () => (globalThis as unknown as { seenCounts: { count: number; atMs: number }[] }).seenCounts,
    );
    count = String(seen.length);
    const delays = posts
      .map((each) => (seen.find((one) => one.count >= each.count)?.atMs ?? Number.POSITIVE_INFINITY) - each.atMs)
      .sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.min(delays.length - 1, Math.floor(delays.length * share))]!;
    console.log(`POST to text: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${delays.at(-1)} ms, ${count} changes`);
    expect(at(0.99)).toBeLessThanOrEqual(200);
    await page.close();
  });
});
