import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../base/free-port.ts";
import type { Events } from "../../contract/read.ts";
import { until } from "../../testing/test-service.ts";

const root = join(import.meta.dir, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The shell blocks of the README, one command each; a backslash continues a line. */
const commands = [...readme.matchAll(/```sh\n(.*?)```/gs)]
  .flatMap((block) => (block[1] as string).replaceAll("\\\n", " ").split("\n"))
  .map((line) => line.replace(/\s+#.*$/, "").trim())
  .filter((line) => line !== "");

test("the README's first screen does what it says: npm start, then the two curls", async () => {
  expect(commands.slice(0, 2)).toEqual(["npm start", "npm test"]);
  const curls = commands.filter((command) => command.startsWith("curl "));
  expect(curls).toHaveLength(2);

  const port = findFreePort();
  const clickHousePort = findFreePort();
  const directory = mkdtempSync(join(tmpdir(), "sluice-readme-"));
  // The npm that runs the tests hands its own settings down; a newcomer has none.
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));
  const started = Bun.spawn(["npm", "start"], {
    cwd: root,
    env: {
      ...environment,
      PORT: String(port),
      EMBEDDED_CLICKHOUSE_PORT: String(clickHousePort),
      DATA_DIR: directory,
    } as Record<string, string>,
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  const run = async (command: string): Promise<string> => {
    const shell = Bun.spawn(
      ["sh", "-c", command.replaceAll("127.0.0.1:8000", `127.0.0.1:${port}`).replace("curl", "curl -s")],
      {
        stdout: "pipe",
      },
    );
    return new Response(shell.stdout).text();
  };
  try {
    await until(
      "npm start to be ready",
      async () => (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok,
      120_000,
    );
    const [post, read] = curls as [string, string];
    expect(JSON.parse(await run(post))).toEqual({ status: "queued", event_count: 1 });
    const event = await until("the event to be read back", async () => {
      const answer = JSON.parse(await run(read)) as Partial<Events>;
      return answer.events?.[0];
    });
    expect(event).toMatchObject({ device_id: "greenhouse-7", event_type: "temperature", value_float: 21.5 });
    const page = await fetch(`http://127.0.0.1:${port}/`);
    expect(page.headers.get("content-type")).toStartWith("text/html");
  } finally {
    // Its own process group: npm, the shell and the service.
    process.kill(-started.pid, "SIGTERM");
    await started.exited;
    rmSync(directory, { recursive: true, force: true });
  }
}, 180_000);

test("the README names no file that is not there", () => {
  for (const match of readme.matchAll(/\]\(([^)#:]+)\)/g)) {
    expect([match[1], Bun.file(join(root, match[1] as string)).size > 0]).toEqual([match[1], true]);
  }
});
