import { expect, test } from "bun:test";
import { decodeRow, hashDeviceId, RowBinaryReader, RowEncoder } from "../../contract/row.ts";
import { RowSplitter, shardOf } from "./shards.ts";

const ids = ["a", "device-1", "device-2", "ä".repeat(100), "日本", "x".repeat(256), "device-3", "🌡️", "\ufeffmark"];

test("a device's rows are all in the shard of its hash, in their order, and every row is in one", () => {
  for (const shards of [1, 2, 3, 7]) {
    const encoder = new RowEncoder();
    const count = 500;
    for (let index = 0; index < count; index++) {
      const device_id = ids[(index * 5) % ids.length] as string;
      encoder.encode({ device_id, event_type: "t", value_float: index, metadata: { k: "v" } }, 1_767_225_600_000, 0);
    }
    const parts = new RowSplitter(shards).split(encoder.bytes(), count);
    expect(parts.reduce((sum, part) => sum + part.rowCount, 0)).toBe(count);
    for (const { shard, rowCount, rows } of parts) {
      const reader = new RowBinaryReader(rows);
      const last = new Map<string, number>();
      let seen = 0;
      for (; !reader.done; seen++) {
        const { device_id, value_float } = decodeRow(reader);
        expect(shardOf(hashDeviceId(device_id)[0], shards)).toBe(shard);
        expect(value_float as number).toBeGreaterThan(last.get(device_id) ?? -1);
        last.set(device_id, value_float as number);
      }
      expect(seen).toBe(rowCount);
    }
  }
});
