import { createRandom } from "../base/random.ts";
import { openDiskJournal } from "../workers/journal/disk.ts";
import { encodeKey, keyLifeMs } from "../workers/journal/idempotency-keys.ts";
import type { Batch, FrameGroup, Journal, KeyRecord } from "../workers/journal/journal.ts";
import { type Break, type CallKind, SimulatedDisk } from "./simulated-disk.ts";

/** What the model test does to a journal. */
export type Step =
  | { readonly do: "append"; readonly rowBytes: readonly number[]; readonly keyed: boolean }
  | { readonly do: "seal" }
  | { readonly do: "commit"; readonly index: number }
  | { readonly do: "split"; readonly index: number }
  | { readonly do: "wait"; readonly ms: number }
  | {
      readonly do: "fail";
      readonly after: number;
      readonly count: number;
      readonly kinds: CallKind[];
      readonly code: string;
    }
  | { readonly do: "die"; readonly after: number; readonly how: End; readonly again: readonly number[] }
  | { readonly do: "end"; readonly how: End };

export type End = "kill" | "power cut";

interface Group {
  readonly id: number;
  readonly rowCount: number;
  readonly key: string | null;
  readonly atMs: number;
  /** `maybe`: the process died in the call, or the disk failed so that not even the refusal could be made sure of. */
  state: "accepted" | "refused" | "maybe";
}

interface Seen {
  readonly content: string;
  readonly groups: readonly number[];
  /** `maybe`: the process died in the call. */
  committed: "no" | "maybe" | "yes";
  readonly splits: Set<string>;
}

const directory = "/journal";
const rowHeaderBytes = 12;
/** Removals that may be undone by a power cut, as the journal promises. */
const undoneCommitsMax = 8;

function rowsOf(id: number, rowBytes: readonly number[]): Uint8Array {
  const rows = rowBytes.map((bytes, index) => {
    const row = Buffer.alloc(rowHeaderBytes + bytes, (id * 31 + index) & 255);
    row.writeUInt32LE(id, 0);
    row.writeUInt16LE(index, 4);
    row.writeUInt16LE(rowBytes.length, 6);
    row.writeUInt32LE(bytes, 8);
    return row;
  });
  return Buffer.concat(rows);
}

/** The groups in a body; throws unless each is there whole and in its place. */
function groupsIn(body: Buffer): number[] {
  const groups: number[] = [];
  for (let at = 0; at < body.length; ) {
    const id = body.readUInt32LE(at);
    const count = body.readUInt16LE(at + 6);
    for (let index = 0; index < count; index++) {
      const bytes = body.readUInt32LE(at + 8);
      const whole = body.readUInt32LE(at) === id && body.readUInt16LE(at + 4) === index;
      const filler = body.subarray(at + rowHeaderBytes, at + rowHeaderBytes + bytes);
      if (!whole || filler.length < bytes || filler.some((byte) => byte !== ((id * 31 + index) & 255))) {
        throw new BrokenPromise(`group ${id} is not whole at row ${index}`);
      }
      at += rowHeaderBytes + bytes;
    }
    groups.push(id);
  }
  return groups;
}

export async function readBody(batch: Batch): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of batch.body() as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The journal did not do what it promises. */
export class BrokenPromise extends Error {}

function insist(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BrokenPromise(what);
}

export interface ModelOptions {
  readonly seed: number;
  readonly breaks?: ReadonlySet<Break>;
  /** Random ids that come again after each start: the break of "tokens are never used twice". */
  readonly repeatIds?: boolean;
}

/** Runs the steps against a journal on a simulated disk and throws where the journal does not do what it promises. */
export class JournalModel {
  readonly disk: SimulatedDisk;
  readonly #repeatIds: boolean;
  readonly #randomIds: () => number;
  #journal: Journal | null = null;
  readonly #groups = new Map<number, Group>();
  readonly #seen = new Map<string, Seen>();
  #nowMs = 1_800_000_000_000;
  #nextGroup = 1;
  /** Refused while the disk failed so much that the journal may not have been able to make sure that they are gone. */
  #doubtful: Group[] = [];
  #recoveryDeaths: readonly number[] = [];
  #end: End = "kill";
  /** How often each thing happened, so that a test can tell that it tested something. */
  readonly counts = {
    accepted: 0,
    refused: 0,
    deaths: 0,
    recoveries: 0,
    recoveredRows: 0,
    committed: 0,
    kept: 0,
    prepared: 0,
  };

  constructor(options: ModelOptions) {
    const random = createRandom(options.seed);
    this.disk = new SimulatedDisk(random, options.breaks);
    this.#repeatIds = options.repeatIds ?? false;
    this.#randomIds = createRandom(options.seed ^ 0x5bd1e995);
  }

  async run(steps: readonly Step[]): Promise<void> {
    await this.#start();
    for (const step of steps) {
      await this.#step(step);
      if (this.disk.dead) await this.#restart(this.#end);
      else await this.#checkRunning();
    }
    // Whatever is left has to be there at the end, with a disk that works.
    await this.#restart("power cut");
    await this.#restart("power cut");
  }

  get #live(): Journal {
    insist(this.#journal !== null, "no journal");
    return this.#journal;
  }

  async #step(step: Step): Promise<void> {
    switch (step.do) {
      case "append":
        return this.#append(step.rowBytes, step.keyed);
      case "seal":
        return this.#seal();
      case "commit":
        return this.#commit(step.index);
      case "split":
        return this.#split(step.index);
      case "wait":
        this.#nowMs += step.ms;
        return;
      case "fail":
        this.disk.fault = { after: step.after, count: step.count, kinds: new Set(step.kinds), code: step.code };
        return;
      case "die":
        this.disk.diesAfter = step.after;
        this.#end = step.how;
        this.#recoveryDeaths = step.again;
        return;
      case "end":
        return this.#restart(step.how);
    }
  }

  #seal(): void {
    const faults = this.disk.faults;
    this.#live.seal();
    if (this.disk.dead || this.disk.faults > faults) return;
    insist(this.#live.open.rowCount === 0, "seal did not end the open batch");
    this.#clearDoubt();
  }

  #clearDoubt(): void {
    for (const group of this.#doubtful.splice(0)) group.state = "refused";
  }

  #append(rowBytes: readonly number[], keyed: boolean): void {
    const id = this.#nextGroup++;
    const key = keyed ? `ingest\u0000key-${id}` : null;
    const group: Group = { id, rowCount: rowBytes.length, key, atMs: this.#nowMs, state: "maybe" };
    this.#groups.set(id, group);
    const frame: FrameGroup = {
      rows: rowsOf(id, rowBytes),
      rowCount: rowBytes.length,
      meta: key === null ? new Uint8Array(0) : encodeKey({ key, atMs: this.#nowMs, answer: `{"id":${id}}` }),
      epoch: id,
      atMs: this.#nowMs,
    };
    const faults = this.disk.faults;
    const result = this.#live.append(frame);
    insist(!(result instanceof Promise), "append is synchronous");
    if (this.disk.dead) {
      this.counts.deaths++;
      return;
    }
    if (result.ok) {
      group.state = "accepted";
      this.counts.accepted++;
      this.#clearDoubt();
      return;
    }
    this.counts.refused++;
    // With one fault the group is refused; it takes another for the journal not to be able to take it back.
    if (this.disk.faults - faults >= 2) this.#doubtful.push(group);
    else group.state = "refused";
  }

  async #commit(index: number): Promise<void> {
    const batch = this.#live.sealed[index % Math.max(1, this.#live.sealed.length)];
    if (batch === undefined) return;
    const seen = this.#seen.get(batch.token);
    insist(seen !== undefined, "a batch appeared that was never seen");
    seen.committed = "maybe";
    try {
      await this.#live.commit(batch);
    } catch (error) {
      if (this.disk.dead) this.counts.deaths++;
      else {
        insist(this.disk.fault !== null, `commit threw on a disk that works: ${error}`);
        insist(this.#live.sealed.includes(batch), "a commit that failed let its batch go");
      }
      return;
    }
    if (this.disk.dead) return;
    if (this.disk.contents(directory).has(`${batch.token.split("-")[1]?.padStart(16, "0")}.done`)) this.counts.kept++;
    this.counts.committed++;
    seen.committed = "yes";
    insist(!this.#live.sealed.includes(batch), "a committed batch is still handed out");
  }

  #split(index: number): void {
    const batch = this.#live.sealed[index % Math.max(1, this.#live.sealed.length)];
    if (batch === undefined || batch.rowCount < 2) return;
    const range = { from: 0, to: 1 + (index % batch.rowCount) };
    try {
      batch.record({ kind: "split", range });
    } catch {
      return;
    }
    if (!this.disk.dead) this.#seen.get(batch.token)?.splits.add(`${range.from}-${range.to}`);
  }

  async #start(): Promise<readonly KeyRecord[]> {
    let ids = 0;
    const { journal, keys } = await openDiskJournal({
      files: this.disk,
      directory,
      maxBytes: 1 << 20,
      ownStatesRows: 1,
      spareSizes: { segmentMinBytes: 1, segmentMaxBytes: 1 << 20, roundToBytes: 512 },
      nowMs: () => this.#nowMs,
      log: () => undefined,
      randomId: () =>
        (this.#repeatIds ? ++ids : Math.floor(this.#randomIds() * 2 ** 48)).toString(16).padStart(16, "0"),
    });
    this.#journal = journal;
    return keys;
  }

  async #restart(how: End): Promise<void> {
    this.disk.fault = null;
    // A refusal that the disk did not let the journal make sure of may come back, whole.
    this.#doubtful = [];
    this.disk.restart(how);
    this.disk.recovering = true;
    for (const after of this.#recoveryDeaths) {
      this.disk.diesAfter = after;
      try {
        await this.#start();
        // What was handed out before it died is in the world.
        if (!this.disk.dead) await this.#look();
      } catch (error) {
        insist(this.disk.dead, `recovery threw: ${error}`);
      }
      this.disk.restart(how);
    }
    this.#recoveryDeaths = [];
    const keys = await this.#start();
    this.disk.recovering = false;
    this.counts.recoveries++;
    await this.#look();
    this.#checkRecovered(keys, how);
  }

  /** Reads every sealed batch; one that was seen before has to be the same. */
  async #look(): Promise<void> {
    for (const batch of this.#live.sealed) {
      const body = await readBody(batch);
      if (this.disk.dead) return;
      insist(body.length === batch.bytes, `batch ${batch.token} has ${body.length} bytes, not ${batch.bytes}`);
      const content = body.toString("latin1");
      const seen = this.#seen.get(batch.token);
      if (seen !== undefined) {
        insist(seen.content === content, `batch ${batch.token} is not what it was`);
        for (const split of seen.splits)
          insist(batch.progress.splits.has(split), `split ${split} of ${batch.token} is forgotten`);
        continue;
      }
      const groups = groupsIn(body);
      const rows = groups.reduce((sum, id) => sum + (this.#groups.get(id)?.rowCount ?? Number.NaN), 0);
      insist(rows === batch.rowCount, `batch ${batch.token} counts ${batch.rowCount} rows, not ${rows}`);
      this.#seen.set(batch.token, { content, groups, committed: "no", splits: new Set() });
    }
  }

  async #checkRunning(): Promise<void> {
    // A fault may strike the reading of a body, which the writer would try again.
    const { fault, diesAfter } = this.disk;
    this.disk.fault = null;
    this.disk.diesAfter = null;
    await this.#look();
    let expected = 0;
    for (const group of this.#groups.values()) {
      if (group.state === "accepted" && !this.#isCommitted(group.id)) expected += group.rowCount;
    }
    const sealedRows = this.#live.sealed.reduce((sum, batch) => sum + batch.rowCount, 0);
    const openRows = this.#live.open.rowCount;
    if (this.disk.contents(directory).has("spare.new")) this.counts.prepared++;
    insist(sealedRows + openRows === expected, `${sealedRows} rows sealed, ${openRows} open, of ${expected} accepted`);
    if (this.disk.faults === 0) {
      let bytes = 0;
      for (const [name, content] of this.disk.contents(directory)) {
        if (/\.(seg|done|log)$|^spare\.new$/.test(name)) bytes += content.length;
      }
      insist(bytes === this.#live.bytes, `the journal counts ${this.#live.bytes} bytes, there are ${bytes}`);
    }
    this.disk.fault = fault;
    this.disk.diesAfter = diesAfter;
  }

  #handedOut(): number[] {
    return this.#live.sealed.flatMap((batch) => this.#seen.get(batch.token)?.groups ?? []);
  }

  #isCommitted(id: number): boolean {
    for (const seen of this.#seen.values()) if (seen.committed === "yes" && seen.groups.includes(id)) return true;
    return false;
  }

  #checkRecovered(keys: readonly KeyRecord[], how: End): void {
    const tokens = new Set(this.#live.sealed.map((batch) => batch.token));
    insist(tokens.size === this.#live.sealed.length, "a token was handed out twice");
    let undone = 0;
    for (const [token, seen] of this.#seen) {
      if (seen.committed === "no") insist(tokens.has(token), `batch ${token} is gone and was not committed`);
      if (seen.committed === "yes" && tokens.has(token)) undone++;
    }
    insist(undone <= (how === "power cut" ? undoneCommitsMax : 0), `${undone} committed batches are back`);
    const handedOut = this.#handedOut();
    insist(new Set(handedOut).size === handedOut.length, "a group is in two batches");
    insist(
      handedOut.every((id, index) => index === 0 || id > (handedOut[index - 1] as number)),
      "groups out of order",
    );
    const everSeen = new Set([...this.#seen.values()].flatMap((seen) => seen.groups));
    const alive = new Map(keys.map((record) => [record.key, record]));
    insist(alive.size === keys.length, "a key was recovered twice");
    for (const group of this.#groups.values()) {
      if (group.state === "accepted") insist(everSeen.has(group.id), `group ${group.id} was accepted and is lost`);
      if (group.state === "refused") insist(!everSeen.has(group.id), `group ${group.id} was refused and is there`);
      if (group.key === null) continue;
      const young = group.atMs + keyLifeMs > this.#nowMs;
      const record = alive.get(group.key);
      if (young && everSeen.has(group.id)) {
        insist(record !== undefined, `the key of group ${group.id} is forgotten`);
        insist(record.answer === `{"id":${group.id}}` && record.atMs === group.atMs, "a key changed");
      }
      if (!young || !everSeen.has(group.id)) insist(record === undefined, `the key of group ${group.id} came back`);
    }
    // From now on what was recovered counts as accepted, and what was not is gone for good.
    for (const group of this.#groups.values()) {
      if (group.state === "maybe") group.state = everSeen.has(group.id) ? "accepted" : "refused";
    }
    this.counts.recoveredRows += this.#live.sealed.reduce((sum, batch) => sum + batch.rowCount, 0);
    for (const [token, seen] of this.#seen) seen.committed = tokens.has(token) ? "no" : "yes";
  }
}
