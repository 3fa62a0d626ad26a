import { expect, test } from "bun:test";
import { welcomeText } from "./welcome.ts";

test("the command of the welcome is one that a shell runs, and its body an event", () => {
  const text = welcomeText({ url: "http://127.0.0.1:8000", dataDirectory: "/srv/sluice", keysNeeded: true });
  const command = /curl .*/.exec(text)?.[0] ?? "";
  const shell = Bun.spawnSync(["sh", "-c", `curl() { printf '%s\\n' "$@"; }; ${command}`]);
  const words = shell.stdout.toString().trim().split("\n");
  expect(words).toContain("http://127.0.0.1:8000/ingest");
  expect(words).toContain("Authorization: Bearer SECRET");
  expect(JSON.parse(words.at(-1) ?? "")).toMatchObject({ device_id: "greenhouse-7", value_float: 21.5 });
  expect(text).toContain("/srv/sluice");
});
