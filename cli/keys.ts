import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { textOf } from "../base/error-text.ts";
import { parseKeys } from "../server/access/keys.ts";
import { removeKey, rotateKey } from "./key-file.ts";

const help = `Keys in a file, as INGEST_KEYS=@FILE, VIEWER_KEYS=@FILE and EDITOR_KEYS=@FILE read it

  sluice keys list FILE            names and device prefixes; never a secret
  sluice keys rotate FILE NAME     a new secret for NAME, or a new key NAME; the secret is printed once
  sluice keys remove FILE NAME     NAME is a key no longer

The file is replaced as a whole and keeps its mode, its order and its comments. A running service reads it again within
two seconds.
`;

export function keys(args: readonly string[]): number {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  const [action, file, name, ...more] = positionals;
  if (values.help) return say(help);
  if (action !== "list" && action !== "rotate" && action !== "remove") {
    return complain(`keys: use list, rotate or remove, not ${action ?? "nothing"}`);
  }
  if (file === undefined || (action === "list") !== (name === undefined) || more.length > 0) {
    return complain(`keys ${action}: ${action === "list" ? "FILE is" : "FILE and NAME are"} needed`);
  }
  if (name === undefined) return list(file);
  return action === "rotate" ? rotate(file, name) : remove(file, name);
}

function list(file: string): number {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return complain(`${file}: ${textOf(error)}`, 1);
  }
  const parsed = parseKeys(text, "file", true);
  if (!parsed.ok) return complain(`${file}: ${parsed.reason}`, 1);
  return say(parsed.entries.map(({ name, prefix }) => `${name}${prefix === null ? "" : `\t${prefix}`}\n`).join(""));
}

function rotate(file: string, name: string): number {
  const result = rotateKey(file, name);
  if (!result.ok) return complain(`${file}: ${result.reason}; nothing was changed`);
  // The only time that the secret is shown: the service keeps its hash.
  return say(`${result.added ? "added" : "rotated"} ${name} in ${file}; its secret is\n${result.secret}\n`);
}

function remove(file: string, name: string): number {
  const result = removeKey(file, name);
  return result.ok ? say(`removed ${name} from ${file}\n`) : complain(`${file}: ${result.reason}; nothing was changed`);
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(text: string, code = 2): number {
  process.stderr.write(`${text}\n`);
  return code;
}
