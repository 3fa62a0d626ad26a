import { expect, test } from "bun:test";
import { openStore } from "../../store/store.ts";
import { alertMigrations } from "../state/migrations.ts";
import { createRowWriter, type RowChange } from "../state/rows.ts";
import { CommitQueue, LeaseLostError, type SharedCommit, type SharedRow } from "./commit-queue.ts";
import { compareIds } from "./journal-tail.ts";
import { allRows, createSharedWriter } from "./shared-rows.ts";

const row = (key: string, text: string | null): SharedRow => ({ table: "alert_facts", key, row: text });

test("commits go one after the other, the newest of a row with the next, and what waits for them happens then", async () => {
  const written: SharedCommit[] = [];
  const answers: (() => void)[] = [];
  const queue = new CommitQueue(
    (commit) => {
      written.push(commit);
      return new Promise((resolve) => answers.push(resolve));
    },
    () => undefined,
  );
  const order: string[] = [];
  queue.whenWritten(() => order.push("nothing waited"));
  queue.add([row("a", "1")]);
  queue.whenWritten(() => order.push("first"));
  await Bun.sleep(1);
  queue.add([row("a", "2")]);
  queue.add([row("a", "3"), row("b", null)]);
  queue.decidedUpTo(new Map([[0, "5-1"]]));
  queue.whenWritten(() => order.push("second"));
  expect(order).toEqual(["nothing waited"]);
  answers[0]?.();
  await Bun.sleep(1);
  expect(order).toEqual(["nothing waited", "first"]);
  expect(written.map(({ rows }) => rows)).toEqual([[row("a", "1")], [row("a", "3"), row("b", null)]]);
  expect(written[1]?.places.get(0)).toBe("5-1");
  answers[1]?.();
  await queue.written();
  expect(order).toEqual(["nothing waited", "first", "second"]);
});

test("a commit that fails ends the term: nothing that waited happens, nothing more is written", async () => {
  let writes = 0;
  const reasons: string[] = [];
  const queue = new CommitQueue(
    async () => {
      writes++;
      throw new LeaseLostError("another instance has the lease");
    },
    (reason) => reasons.push(reason),
  );
  let happened = false;
  queue.add([row("a", "1")]);
  queue.whenWritten(() => {
    happened = true;
  });
  await expect(queue.written()).rejects.toBeInstanceOf(LeaseLostError);
  queue.add([row("a", "2")]);
  await Bun.sleep(1);
  expect({ happened, writes, reasons }).toEqual({
    happened: false,
    writes: 1,
    reasons: ["another instance has the lease"],
  });
});

test("rows that are shared are those of the copy, whatever the changes: by key, of many rows, and a transition once more", () => {
  const shared = new Map<string, string>();
  const copy = openStore(":memory:", [alertMigrations]);
  const write = createSharedWriter(copy, (rows) => {
    for (const { table, key, row: text } of rows)
      if (text === null) shared.delete(`${table} ${key}`);
      else shared.set(`${table} ${key}`, text);
  });
  const notice = (alert_id: string, wanted: string): RowChange => ({
    table: "alert_notices",
    put: { channel_id: "c", alert_id, group_key: "g", wanted, told: "nothing", body: "{}" },
  });
  const transition = (sequence: number, id: string): RowChange => ({
    table: "alert_transitions",
    put: { sequence, id, decided_ms: 1, rule_id: "r", device_id: null, body: "{}" },
  });
  // A row that is put and changed in the same commit is shared as it is in the end.
  write([
    notice("a", "firing"),
    notice("b", "firing"),
    { table: "alert_notices", update: { told: "firing" }, where: { channel_id: "c", group_key: "g" } },
  ]);
  write([
    notice("d", "resolved"),
    notice("e", "resolved"),
    transition(1, "t1"),
    transition(2, "t2"),
    transition(3, "t1"),
  ]);
  write([{ table: "alert_notices", remove: { channel_id: "c", group_key: "g", wanted: "resolved" } }]);
  write([{ table: "alert_transitions", remove: { sequence: 2 } }]);
  const back = openStore(":memory:", [alertMigrations]);
  createRowWriter(back)(
    [...shared].map(([name, text]) => ({ table: name.split(" ", 1)[0], put: JSON.parse(text) }) as RowChange),
  );
  const sorted = (rows: readonly RowChange[]) => rows.map((change) => JSON.stringify(change)).sort();
  expect(sorted(allRows(back))).toEqual(sorted(allRows(copy)));
  expect(shared.size).toBe(3);
});

test("entries of a stream are in the order of their numbers, not of their text", () => {
  const ids = ["9-1", "10-0", "10-2", "10-11", "100-0"];
  expect([...ids].reverse().sort(compareIds)).toEqual(ids);
});
