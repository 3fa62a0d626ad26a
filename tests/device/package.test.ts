/** What `npm pack` in sdk/ ships: installed as a package, it runs in Node, is typed, and has a browser build without a disk. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startIngestStub } from "../../testing/ingest-stub.ts";

const root = join(import.meta.dir, "../..");
const place = mkdtempSync(join(tmpdir(), "sluice-package-"));
const installed = join(place, "node_modules/@sluice/device");
const usable = Bun.which("npm") !== null && Bun.which("node") !== null && Bun.which("tar") !== null;
afterAll(() => rmSync(place, { recursive: true }));

function run(words: readonly string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...words], { cwd, env: process.env });
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: ${stdout}${stderr}`);
  return stdout.toString();
}

test.skipIf(!usable)(
  "the package runs in Node, is typed, and leaves the disk out of a browser",
  async () => {
    // Packed from a copy, so that the working tree stays as it is.
    const copy = join(place, "sdk");
    run(["cp", "-r", join(root, "sdk"), copy], place);
    run(["cp", join(root, "tsconfig.json"), place], place);
    run(["ln", "-s", join(root, "node_modules"), join(copy, "node_modules")], place);
    run([join(root, "node_modules/.bin/tsc"), "-p", "."], copy);
    const archive = run(["npm", "pack", "--silent", "--ignore-scripts"], copy).trim();
    mkdirSync(installed, { recursive: true });
    run(["tar", "xzf", join(copy, archive), "-C", installed, "--strip-components=1"], place);
    expect(readdirSync(join(installed, "dist"))).toContain("index.d.ts");
    expect(JSON.parse(readFileSync(join(installed, "package.json"), "utf8")).dependencies).toBeUndefined();

    const stub = await startIngestStub([]);
    const program = `import { createDevice } from "@sluice/device";
const device = createDevice({ url: process.argv[2], deviceId: "d", spool: "./spool" });
device.send({ event_type: "n", value_float: 1 });
await device.flush();
await device.close();`;
    writeFileSync(join(place, "program.mjs"), program);
    const child = Bun.spawn(["node", "program.mjs", stub.url], { cwd: place, stderr: "pipe" });
    expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, ""]);
    await stub.stop();
    expect(stub.events()).toMatchObject([{ device_id: "d", value_float: 1 }]);

    // A wrong field is a type error: the declarations are found, and are not `any`.
    const typed = (field: string): string =>
      `import { createDevice } from "@sluice/device";\ncreateDevice({ url: "", deviceId: "" }).send({ ${field}: "n" });\n`;
    writeFileSync(join(place, "right.mts"), typed("event_type"));
    writeFileSync(join(place, "wrong.mts"), typed("type"));
    const flags = ["--noEmit", "--strict", "--module", "nodenext", "--lib", "esnext,dom", "--types", ""];
    const check = (file: string) =>
      Bun.spawnSync([join(root, "node_modules/.bin/tsc"), "--ignoreConfig", ...flags, file], { cwd: place });
    expect(check("right.mts").stdout.toString()).toBe("");
    expect(check("wrong.mts").stdout.toString()).toContain("DeviceEvent");

    writeFileSync(join(place, "page.ts"), `import { createDevice } from "@sluice/device";\nconsole.log(createDevice);`);
    const { outputs } = await Bun.build({ entrypoints: [join(place, "page.ts")], target: "browser" });
    const page = (await outputs[0]?.text()) ?? "";
    expect(page).toContain("Idempotency-Key");
    expect(page).not.toMatch(/node:|openSync|counts\.json/);
  },
  90_000,
);
