/** The health check of the image: alive, not ready. A service whose ClickHouse is away must not be killed for it. Entry point. */
async function main(): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${process.env.PORT ?? 8000}/healthz`).catch(() => undefined);
  process.exit(response?.ok ? 0 : 1);
}

await main();

export {};
