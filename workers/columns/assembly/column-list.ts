/** What the module has made: for each column where its bytes are, and how many. ../batch-blocks.ts has the same list. */
export const eventTimestamps: u32 = 0;
export const eventReceived: u32 = 1;
export const eventDevices: u32 = 2;
export const eventTypeIndexes: u32 = 3;
export const eventValueNulls: u32 = 4;
export const eventValues: u32 = 5;
export const eventTextNulls: u32 = 6;
export const eventTexts: u32 = 7;
export const eventPairEnds: u32 = 8;
export const eventKeys: u32 = 9;
export const eventPairValues: u32 = 10;
export const typeNames: u32 = 11;
export const deviceNames: u32 = 12;
export const deviceFirstSeen: u32 = 13;
export const deviceLastSeen: u32 = 14;
export const deviceCounts: u32 = 15;
export const deviceReports: u32 = 16;
export const deviceFirstReceived: u32 = 17;
export const deviceLastReceived: u32 = 18;
export const deviceNewestMetadata: u32 = 19;
export const rollupSeconds: u32 = 20;
export const rollupTypeIndexes: u32 = 21;
export const rollupEvents: u32 = 22;
export const rollupValues: u32 = 23;
export const rollupSums: u32 = 24;
export const rollupNulls: u32 = 25;
export const rollupLows: u32 = 26;
export const rollupHighs: u32 = 27;
export const rollupQuantiles: u32 = 28;
const columnCount: i32 = 29;

/** Pairs of address and length. */
export const table: usize = memory.data(columnCount * 8);

export function set(column: u32, start: usize, end: usize): void {
  store<u32>(table + (<usize>column << 3), <u32>start);
  store<u32>(table + (<usize>column << 3), <u32>(end - start), 4);
}
