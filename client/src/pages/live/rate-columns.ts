import { totalName } from "../../live/live-rings.ts";
import type { Rings } from "../../live/rings.ts";

/** The name of the line of all types that have none of their own. */
export const restName = "all others";

type Column = (number | null)[];

export interface RateColumns {
  /** The lines in their order; the total's name stands for what is left of it after all of `types`. */
  setNames(names: readonly string[], types: readonly string[]): void;
  /** The last `count` seconds up to `edge` as a chart takes them: the times, then a column for each name. */
  fill(count: number, edge: number): Column[];
  /** As many of `count` seconds as there is anything to see of: a first minute is not drawn as the end of an empty ten. */
  fitted(count: number, edge: number): number;
}

/** A chart is never shorter than this. */
const fittedMin = 60;

/** The rings as a chart's columns, in arrays that are used again and again. */
export function createRateColumns(rings: Rings): RateColumns {
  const values = new Float32Array(rings.seconds);
  let names: readonly string[] = [];
  let types: readonly string[] = [];
  let columns: Column[] = [[]];

  const read = (name: string, count: number, offset: number): void =>
    rings.copyLast(name, Math.min(count + offset, rings.seconds), values);
  const subtract = (column: Column, count: number, offset: number): void => {
    for (const type of types) {
      read(type, count, offset);
      for (let at = 0; at < count; at++) {
        const left = column[at];
        const value = values[at]!;
        if (left !== null && left !== undefined && !Number.isNaN(value)) column[at] = Math.max(0, left - value);
      }
    }
  };

  return {
    setNames(nextNames, nextTypes) {
      names = nextNames;
      types = nextTypes;
      columns = [[], ...names.map((): Column => [])];
    },
    fitted(count, edge) {
      const offset = rings.newest() - edge;
      read(totalName, count, offset);
      const first = values.subarray(0, count).findIndex((value) => !Number.isNaN(value));
      return first < 0 ? count : Math.min(count, Math.max(fittedMin, count - first));
    },
    fill(count, edge) {
      const offset = rings.newest() - edge;
      const seconds = columns[0]!;
      seconds.length = count;
      for (let at = 0; at < count; at++) seconds[at] = edge - count + 1 + at;
      names.forEach((name, index) => {
        const column = columns[index + 1]!;
        column.length = count;
        read(name, count, offset);
        for (let at = 0; at < count; at++) {
          const value = values[at]!;
          column[at] = Number.isNaN(value) ? null : value;
        }
        if (name === totalName) subtract(column, count, offset);
      });
      return columns;
    },
  };
}
