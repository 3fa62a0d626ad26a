import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "../..");
const json = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
}
type Packages = Readonly<Record<string, Locked>>;
const packagesOf = (path: string): Packages => (json(path) as { packages: Packages }).packages;

const locked = Object.entries(packagesOf("package-lock.json")).filter(([path, { link }]) => path !== "" && !link);
const licenceOf = (path: string): unknown => (json(`${path}/package.json`) as { license?: unknown }).license;

/** May be shipped with an MIT program without further duties than naming them. */
const permissive = new Set([
  "MIT",
  "MIT-0",
  "ISC",
  "0BSD",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "Unlicense",
  "MIT OR Apache-2.0",
  "(MIT AND Zlib)",
  "(MIT OR CC0-1.0)",
  "(Apache-2.0 AND BSD-3-Clause)",
]);
/** Each for a reason that docs/dependencies.md gives. */
const others: Readonly<Record<string, string>> = {
  "web-push": "MPL-2.0",
  "axe-core": "MPL-2.0",
  lightningcss: "MPL-2.0",
  "caniuse-lite": "CC-BY-4.0",
};
const nameOf = (path: string): string => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

describe("dependencies", () => {
  test("have exact versions, and the lockfile's", () => {
    for (const [name, version] of Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies })) {
      expect(`${name} ${version}`).toMatch(/ \d+\.\d+\.\d+$/);
      expect([name, packagesOf("package-lock.json")[`node_modules/${name}`]?.version]).toEqual([name, version]);
    }
  });

  test("all have a SHA-512 in the lockfile and no address of their own", () => {
    for (const [path, { integrity, resolved }] of locked) {
      expect(`${path} ${integrity}`).toMatch(/ sha512-[A-Za-z0-9+/]{86}==$/);
      expect([path, resolved]).toEqual([path, undefined]);
    }
  });

  test("are installed as the lockfile says", () => {
    const installed = packagesOf("node_modules/.package-lock.json");
    for (const [path, { version, integrity }] of locked) {
      const found = installed[path];
      // Optional packages of other platforms are not there.
      if (found === undefined) continue;
      expect([path, found.version, found.integrity]).toEqual([path, version, integrity]);
      if (existsSync(join(root, path))) {
        const { version: there } = json(`${path}/package.json`) as { version: string };
        expect(`${path} ${there}`).toBe(`${path} ${version}`);
      }
    }
  });

  test("have licences of the list", () => {
    const wrong = locked
      .filter(([path]) => existsSync(join(root, path, "package.json")))
      .map(([path]) => [nameOf(path), licenceOf(path)] as const)
      .filter(([name, licence]) => {
        const [other] = Object.keys(others).filter((each) => name === each || name.startsWith(`${each}-`));
        return !permissive.has(String(licence)) && (other === undefined || others[other] !== licence);
      });
    expect(wrong).toEqual([]);
  });

  test("that run are explained in docs/dependencies.md, with their licence", () => {
    const rows = readFileSync(join(root, "docs/dependencies.md"), "utf8").matchAll(
      /^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|/gm,
    );
    const documented: Record<string, unknown> = Object.fromEntries(
      [...rows].map(([, name = "", licence = ""]) => [name, licence.trim()]),
    );
    const actual: Record<string, unknown> = Object.fromEntries(
      Object.keys(packageJson.dependencies).map((name) => [name, licenceOf(`node_modules/${name}`)]),
    );
    expect(documented).toEqual(actual);
  });
});
