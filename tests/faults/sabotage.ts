/** Deliberate breaks of the source, each of which something has to notice. */
export interface Sabotage {
  readonly name: string;
  /** The file, from the repository's root. */
  readonly file: string;
  /** Each piece has to be there exactly once. */
  readonly edits: readonly (readonly [find: string, replace: string])[];
  /** What notices: rounds of the campaign with this fault, or a test file. */
  readonly caughtBy: { readonly fault: string } | { readonly test: string };
}

export const sabotages: readonly Sabotage[] = [
  {
    name: "token-changed-on-retry",
    file: "workers/row-store.ts",
    edits: [["insert_deduplication_token: token", `insert_deduplication_token: token + Math.random()`]],
    caughtBy: { fault: "reset-before-reply" },
  },
  {
    name: "token-reused",
    file: "workers/row-store.ts",
    edits: [["insert_deduplication_token: token", `insert_deduplication_token: token.slice(0, 8)`]],
    caughtBy: { fault: "reset-before-reply" },
  },
  {
    name: "exception-in-200-ignored",
    file: "workers/row-store.ts",
    edits: [["if (answer.length > 0) throw", "if (answer.length > 1e9) throw"]],
    caughtBy: { fault: "exception-in-200" },
  },
  {
    name: "any-200-confirms",
    file: "workers/clickhouse-client.ts",
    edits: [
      ['if (result.response_headers["x-clickhouse-query-id"] === result.query_id) return;', "if (result) return;"],
    ],
    caughtBy: { fault: "empty-success" },
  },
  {
    name: "view-refusal-bisected",
    file: "workers/writer/failure.ts",
    edits: [
      ['if (sorted === "rejected" && behindView.test(message)) {', "if (behindView.test(message) && code === 0) {"],
    ],
    caughtBy: { fault: "view-fails" },
  },
  {
    name: "segment-deleted-before-confirmation",
    file: "workers/writer/insert-loop.ts",
    edits: [
      [
        "const result = await this.#whileOneIsAhead(current);",
        "await Bun.sleep(2);\nawait journal.commit(batch);\nconst result = await current.result;",
      ],
      ["if (!(await this.#commit(batch))) return false;", ""],
    ],
    caughtBy: { fault: "refuse" },
  },
  {
    name: "query-beside-an-insert",
    file: "workers/writer/insert-loop.ts",
    edits: [
      [
        "return !this.#isWithinEpoch && this.#ahead === undefined && this.#doubtful === 0;",
        "return !this.#isWithinEpoch;",
      ],
    ],
    caughtBy: { test: "workers/thread.test.ts" },
  },
  {
    name: "ack-before-write",
    file: "workers/writer/append-loop.ts",
    edits: [
      [
        "const appended = journal.append(group);",
        'this.#deps.post({ type: "durable", rows: group.rowCount });\nawait Bun.sleep(50);\nconst appended = journal.append(group);',
      ],
      ['post({ type: "durable", rows: group.rowCount });\n      return;', "return;"],
    ],
    caughtBy: { fault: "kill-service" },
  },
  {
    name: "key-before-frame",
    file: "server/ingest/intake.ts",
    edits: [
      [
        "const frame = staging.commit(",
        "key?.remember({ answer, epoch: aggregator.currentEpoch, atMs });\n      const frame = staging.commit(",
      ],
      [
        'readonly aggregator: Pick<Aggregator, "fold" | "discard">',
        'readonly aggregator: Pick<Aggregator, "fold" | "discard" | "currentEpoch">',
      ],
    ],
    caughtBy: { fault: "journal-full" },
  },
  {
    name: "keys-not-recovered",
    file: "server/service/recovery.ts",
    edits: [["ingest.recover(recovery.keys, recovery.recovered.length);", ""]],
    caughtBy: { fault: "kill-service" },
  },
  {
    name: "retry-dropped",
    file: "workers/writer/attempts.ts",
    edits: [
      [
        "if (failure.schemaMissing) this.#schemaApplied = false;\n        this.retries++;",
        "if (count >= 3) return { rejected: undefined, attempts: count };\n        this.retries++;",
      ],
    ],
    caughtBy: { fault: "refuse" },
  },
  {
    name: "rollup-dropped-on-view-failure",
    file: "ddl/insert-settings.ts",
    edits: [["materialized_views_ignore_errors: 0", "materialized_views_ignore_errors: 1"]],
    caughtBy: { fault: "view-fails" },
  },
  {
    name: "views-not-deduplicated",
    file: "ddl/insert-settings.ts",
    edits: [
      [
        "deduplicate_blocks_in_dependent_materialized_views: 1",
        "deduplicate_blocks_in_dependent_materialized_views: 0",
      ],
    ],
    caughtBy: { fault: "reset-before-reply" },
  },
  {
    name: "recovery-skips-last-segment",
    file: "workers/journal/recover.ts",
    edits: [
      [
        "segments: segments.filter((segment) => segment.rowCount > 0),",
        "segments: segments.filter((segment) => segment.rowCount > 0).slice(0, -1),",
      ],
    ],
    caughtBy: { fault: "kill-service" },
  },
  {
    name: "outage-dead-letters",
    file: "workers/writer/failure.ts",
    edits: [['return { class: "unavailable", code: null,', 'return { class: "rejected", code: null,']],
    caughtBy: { fault: "refuse" },
  },
  {
    name: "no-fsync",
    file: "workers/journal/disk.ts",
    edits: [["open.file.sync();\n      if (isNew) this.#syncDirectory();", "if (isNew) this.#syncDirectory();"]],
    caughtBy: { test: "workers/journal/model.test.ts" },
  },
  {
    name: "directory-not-synced",
    file: "workers/journal/disk.ts",
    edits: [["open.file.sync();\n      if (isNew) this.#syncDirectory();", "open.file.sync();"]],
    caughtBy: { test: "workers/journal/model.test.ts" },
  },
  {
    name: "refused-group-left-behind",
    file: "workers/journal/disk.ts",
    edits: [["open.file.truncate(open.end);\n      open.file.sync();", ""]],
    caughtBy: { test: "workers/journal/model.test.ts" },
  },
  {
    name: "index-before-payload",
    file: "workers/ring/ring.ts",
    edits: [
      [
        "    this.#words[at] = rows.length;",
        "    Atomics.store(this.#control, word.head, (this.#head + frameBytes + gap) >>> 0);\n    this.#words[at] = rows.length;",
      ],
    ],
    caughtBy: { test: "workers/ring/ring.test.ts" },
  },
  {
    name: "split-not-recorded",
    file: "workers/writer/inserter.ts",
    edits: [["() => batch.record(what)", "() => undefined"]],
    caughtBy: { test: "workers/writer/inserter.test.ts" },
  },
  {
    name: "progress-not-recorded",
    file: "workers/writer/inserter.ts",
    edits: [["progress.inserts % insertsPerMark === 0", "progress.inserts % insertsPerMark === -1"]],
    caughtBy: { test: "workers/writer/inserter.test.ts" },
  },
  {
    name: "dead-letter-sent-again",
    file: "workers/writer/inserter.ts",
    edits: [["if (isLeaf && this.#letters.has(batch, range.from))", "if (isLeaf && batch === null)"]],
    caughtBy: { test: "workers/writer/inserter.test.ts" },
  },
  {
    name: "age-by-wall-clock",
    file: "workers/writer/sealing.ts",
    edits: [
      [
        "const ageMs = open.rowCount === 0 ? 0 : this.#deps.monotonicNow() - this.#openSinceMs;",
        "const ageMs = open.rowCount === 0 ? 0 : this.#deps.now() - open.sinceMs;",
      ],
    ],
    caughtBy: { test: "workers/thread.test.ts" },
  },
  {
    name: "state-not-the-views",
    file: "workers/columns/batch-blocks.ts",
    // Of nine bytes, the lowest of the time: each device's last report is another by a millisecond.
    edits: [["[columns.reports]", "[columns.reports.map((byte, at) => (at % 9 === 1 ? byte ^ 1 : byte))]"]],
    caughtBy: { test: "workers/columns/states.test.ts" },
  },
  {
    name: "token-prefix-missing",
    file: "workers/row-store.ts",
    edits: [["const ownToken = ownStatesToken(token);", "const ownToken = token;"]],
    caughtBy: { test: "workers/own-states.test.ts" },
  },
  {
    name: "forgotten-after-two-tables",
    file: "workers/row-store.ts",
    edits: [
      [
        'await insertBlock({ table: "devices", columns: deviceColumns, block: states.devices }, ownToken, signal);',
        'void insertBlock({ table: "devices", columns: deviceColumns, block: states.devices }, ownToken, signal).catch(() => 0);',
      ],
    ],
    caughtBy: { test: "workers/own-states.test.ts" },
  },
  {
    name: "half-stored-batch-goes-on-the-new-way",
    file: "workers/row-store.ts",
    edits: [["handover !== null && part.batch.ownStates", "handover !== null && part.batch.rowCount > 0"]],
    caughtBy: { test: "workers/own-states.test.ts" },
  },
  {
    name: "stale-tail-taken-for-new",
    file: "workers/journal/frame.ts",
    // Checksums without the nonce: what an older segment left in the file reads on where the new frames end.
    edits: [
      ["return { bytes, seed };", "return { bytes, seed: 0 };"],
      ["ownStates: ownStates === 1, seed }", "ownStates: ownStates === 1, seed: 0 }"],
    ],
    caughtBy: { test: "workers/journal/model.test.ts" },
  },
  {
    name: "stored-answered-when-durable",
    file: "server/ingest/acknowledgements.ts",
    edits: [
      [
        "if (epoch <= this.#settledEpoch) return Promise.resolve(this.#isComplete(epoch));",
        "if (epoch > 0) return Promise.resolve(true);",
      ],
    ],
    caughtBy: { fault: "refuse" },
  },
  {
    name: "key-answered-in-two-ways",
    file: "server/ingest/idempotency.ts",
    edits: [
      [
        "this.#answers.set(key, answer);",
        'this.#answers.set(key, { ...answer, answer: answer.answer.replace(/\\d+/, "0") });',
      ],
    ],
    caughtBy: { fault: "refuse" },
  },
];

/** Throws when the source is not what the sabotage was written for: a break that does not break proves nothing. */
export function transformSource(sabotage: Sabotage, source: string): string {
  let text = source;
  for (const [find, replace] of sabotage.edits) {
    const pieces = text.split(find);
    if (pieces.length !== 2) {
      throw new Error(
        `sabotage ${sabotage.name}: ${sabotage.file} holds ${pieces.length - 1} times, not once: ${find}`,
      );
    }
    text = pieces.join(replace);
  }
  return text;
}
