import { expect, test } from "bun:test";
import { join } from "node:path";

const program = join(import.meta.dir, "sluice.ts");

function sluice(...words: string[]): { code: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, program, ...words], {
    env: { PATH: process.env.PATH ?? "" },
  });
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
}

/** The commands of `sluice --help`. */
const names = [...sluice("--help").out.matchAll(/^ {2}([a-z][a-z-]*) {2,}/gm)].map(([, name = ""]) => name);

test("--help names every command of the contract", () => {
  const promised = "serve device simulate keys dead-letters alerts backup restore doctor config".split(" ");
  for (const name of promised) expect(names).toContain(name);
});

test.each(names)("%s explains itself, and refuses an option that it does not have in one line", (name) => {
  const help = sluice(name, "--help");
  expect({ code: help.code, err: help.err }).toEqual({ code: 0, err: "" });
  expect(help.out.length).toBeGreaterThan(80);
  const wrong = sluice(name, "--explode");
  expect({ code: wrong.code, out: wrong.out }).toEqual({ code: 2, out: "" });
  expect(wrong.err.trim().split("\n")).toHaveLength(1);
});

test("the completion of bash names the commands, and asks a command for its options", () => {
  const script = sluice("completion", "bash").out;
  const complete = (...words: string[]): string[] => {
    const asked = `sluice() { '${process.execPath}' '${program}' "$@"; }
${script}
COMP_WORDS=(sluice ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}
_sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", asked], { env: { PATH: process.env.PATH ?? "" } });
    expect(stderr.toString()).toBe("");
    return stdout.toString().trim().split("\n");
  };
  expect(complete("do")).toEqual(["doctor"]);
  expect(complete("simulate", "--si")).toEqual(["--silence", "--sites"]);
});

test("completions of zsh and fish have a line for each command", () => {
  for (const shell of ["zsh", "fish"]) {
    const { code, out } = sluice("completion", shell);
    expect(code).toBe(0);
    for (const name of names) expect(out).toContain(name);
  }
  expect(sluice("completion", "tcsh").code).toBe(2);
});

test("the launcher gives back what the program does", () => {
  const launch = (...words: string[]) => Bun.spawnSync(["node", join(import.meta.dir, "launcher.mjs"), ...words]);
  expect(launch("--version").stdout.toString()).toBe(sluice("--version").out);
  expect(launch("explode").exitCode).toBe(2);
});
