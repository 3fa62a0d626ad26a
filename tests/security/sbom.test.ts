import { expect, test } from "bun:test";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };

test("npm sbom gives a CycloneDX list of what runs, offline", () => {
  // Not with --omit dev: npm 11 then leaves out what something in development needs as well.
  const made = Bun.spawnSync(["npm", "sbom", "--offline", "--package-lock-only", "--sbom-format", "cyclonedx"], {
    cwd: join(import.meta.dir, "../.."),
  });
  expect(made.exitCode).toBe(0);
  const bill = JSON.parse(made.stdout.toString()) as {
    bomFormat: string;
    components: { name: string; version: string; scope: string; hashes?: { alg: string }[] }[];
  };
  expect(bill.bomFormat).toBe("CycloneDX");
  const found = new Map(
    bill.components.filter(({ scope }) => scope === "required").map(({ name, version }) => [name, version]),
  );
  for (const [name, version] of Object.entries(packageJson.dependencies)) expect(found.get(name)).toBe(version);
  for (const { hashes } of bill.components) expect(hashes?.[0]?.alg).toBe("SHA-512");
}, 60_000);
