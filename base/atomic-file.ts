import { closeSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces a file as a whole: after a crash it is the old one or the new one, and a failure leaves the old one alone. `mode` is that of the new file; `owner`, where
 * root replaces somebody else's.
 */
export function writeFileAtomically(
  path: string,
  text: string,
  mode: number,
  owner?: { readonly uid: number; readonly gid: number },
): void {
  const temporary = `${path}.${process.pid}.new`;
  try {
    const descriptor = openSync(temporary, "w", mode);
    try {
      if (owner) fchownSync(descriptor, owner.uid, owner.gid);
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    // On a full disk it would stay, empty, once for each attempt.
    rmSync(temporary, { force: true });
    throw error;
  }
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
