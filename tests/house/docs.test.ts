import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dir, "../..");
const listed = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], { cwd: root });
const pages = `${listed.stdout}`.split("\n").filter((path) => path !== "" && existsSync(join(root, path)));

const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`\n]*`/g, "");

/** The anchor that GitHub makes of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");

const anchorsOf = (text: string): Set<string> =>
  new Set([...text.matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf((match[1] as string).trim())));

describe("documents", () => {
  test("every link within the repository leads to a file, and to a heading where it names one", () => {
    expect(pages.length).toBeGreaterThan(20);
    const broken = pages.flatMap((page) => {
      const text = readFileSync(join(root, page), "utf8");
      return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
        const target = match[1] as string;
        if (/^[a-z]+:/.test(target)) return [];
        const [path, anchor] = target.split("#") as [string, string | undefined];
        const file = path === "" ? join(root, page) : join(root, dirname(page), path);
        if (!existsSync(file)) return [`${page}: ${target}`];
        if (anchor === undefined || !file.endsWith(".md")) return [];
        return anchorsOf(readFileSync(file, "utf8")).has(anchor) ? [] : [`${page}: ${target}`];
      });
    });
    expect(broken).toEqual([]);
  });

  test("every decision is one page with the same four parts", () => {
    const directory = join(root, "docs/decisions");
    const decisions = readdirSync(directory).filter((name) => /^\d{3}-/.test(name));
    expect(decisions.length).toBeGreaterThan(15);
    for (const name of decisions) {
      const text = readFileSync(join(directory, name), "utf8");
      const headings = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]);
      expect([name, headings]).toEqual([name, ["Context", "Decision", "Consequences", "Measured on"]]);
    }
  });
});
