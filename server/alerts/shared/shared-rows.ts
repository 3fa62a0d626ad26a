import type { SQLQueryBindings } from "bun:sqlite";
import type { Store } from "../../store/store.ts";
import { createRowWriter, type Row, type RowChange, type Table, tables } from "../state/rows.ts";
import type { SharedRow } from "./commit-queue.ts";

const tableNames = Object.keys(tables) as Table[];

/**
 * Writes changes into this instance's copy and tells which rows they come to. A change of many rows, such as "all of this group are
 * told", is taken apart here, so that what is shared is rows by their keys and nothing has to be computed from them.
 */
export function createSharedWriter(
  store: Store,
  onRows: (rows: readonly SharedRow[]) => void,
): (changes: readonly RowChange[]) => void {
  let rows: SharedRow[] = [];
  const write = createRowWriter(store, (change) => rows.push(...rowsOf(store, change)));
  return (changes) => {
    rows = [];
    write(changes);
    onRows(rows);
  };
}

/** Must be asked before the change is applied. */
function rowsOf(store: Store, change: RowChange): SharedRow[] {
  const { table } = change;
  const gone = (row: Row): SharedRow => ({ table, key: keyOf(table, row), row: null });
  const stays = (row: Row): SharedRow => ({ table, key: keyOf(table, row), row: JSON.stringify(row) });
  if ("put" in change) {
    const { put } = change;
    if (table !== "alert_transitions") return [stays(put)];
    // The same transition, decided once more, takes the place of its row, which has another number.
    const before = select(store, table, { id: put.id ?? null }).filter(({ sequence }) => sequence !== put.sequence);
    return [...before.map(gone), stays(put)];
  }
  if ("update" in change) return select(store, table, change.where).map((row) => stays({ ...row, ...change.update }));
  const isKey = tables[table].every((column) => column in change.remove);
  return isKey ? [gone(change.remove)] : select(store, table, change.remove).map(gone);
}

const keyOf = (table: Table, row: Row): string => JSON.stringify(tables[table].map((column) => row[column]));

function select(store: Store, table: Table, where: Row): Row[] {
  const condition = Object.keys(where)
    .map((column) => `${column} = ?`)
    .join(" AND ");
  return store.database
    .query<Row, SQLQueryBindings[]>(`SELECT * FROM ${table} WHERE ${condition}`)
    .all(...Object.values(where));
}

/** Everything that a store holds of the alerts. */
export function allRows(store: Store): RowChange[] {
  return tableNames.flatMap((table) =>
    store.database
      .query<Row, []>(`SELECT * FROM ${table}`)
      .all()
      .map((put) => ({ table, put })),
  );
}

export { tableNames };
