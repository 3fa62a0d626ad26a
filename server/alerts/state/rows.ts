import type { SQLQueryBindings } from "bun:sqlite";
import type { Store } from "../../store/store.ts";

/** The tables and their keys. */
export const tables = {
  alert_rules: ["id"],
  alert_channels: ["id"],
  alert_silences: ["id"],
  alert_instances: ["series"],
  alert_transitions: ["sequence"],
  alert_notices: ["channel_id", "alert_id"],
  alert_groups: ["channel_id", "group_key"],
  alert_outbox: ["id"],
  alert_push: ["endpoint"],
  alert_facts: ["name"],
  alert_audit: ["sequence"],
} as const;
export type Table = keyof typeof tables;

export type Row = Record<string, string | number | null>;

/** One row as it is from now on, columns of it, or its key when it is no more. Data, not SQL, so that another instance can apply it, too. */
export type RowChange =
  | { readonly table: Table; readonly put: Row }
  | { readonly table: Table; readonly update: Row; readonly where: Row }
  | { readonly table: Table; readonly remove: Row };

/** Applies changes in one transaction. `before` sees each just before it is applied. */
export function createRowWriter(
  store: Store,
  before: (change: RowChange) => void = () => undefined,
): (changes: readonly RowChange[]) => void {
  const statements = new Map<string, ReturnType<Store["database"]["prepare"]>>();

  function run(sql: string, values: SQLQueryBindings[]): void {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = store.database.prepare(sql);
      statements.set(sql, statement);
    }
    statement.run(...values);
  }

  function apply(change: RowChange): void {
    if ("put" in change) {
      const columns = Object.keys(change.put);
      const marks = columns.map(() => "?").join(", ");
      run(
        `INSERT OR REPLACE INTO ${change.table} (${columns.join(", ")}) VALUES (${marks})`,
        Object.values(change.put),
      );
    } else if ("update" in change) {
      const assign = (row: Row, separator: string): string =>
        Object.keys(row)
          .map((key) => `${key} = ?`)
          .join(separator);
      const sql = `UPDATE ${change.table} SET ${assign(change.update, ", ")} WHERE ${assign(change.where, " AND ")}`;
      run(sql, [...Object.values(change.update), ...Object.values(change.where)]);
    } else {
      const keys = Object.keys(change.remove);
      run(
        `DELETE FROM ${change.table} WHERE ${keys.map((key) => `${key} = ?`).join(" AND ")}`,
        Object.values(change.remove),
      );
    }
  }

  return (changes) => {
    if (changes.length === 0) return;
    store.transaction(() => {
      for (const change of changes) {
        before(change);
        apply(change);
      }
    });
  };
}
