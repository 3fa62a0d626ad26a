/**
 * libchdb writes each block of a streamed result as a document of its own. For most row formats the documents joined
 * are the document of the whole. For those with a header, the header repeats and has to go. For the rest (JSON,
 * Parquet, Pretty …) a result is built whole, under a limit.
 */
export interface ResultFormat {
  /** Takes the next block's bytes, gives what continues the result. */
  join(block: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

const PLAIN: ReadonlySet<string> = new Set([
  "tabseparated",
  "tsv",
  "tabseparatedraw",
  "tsvraw",
  "raw",
  "csv",
  "tskv",
  "jsoneachrow",
  "jsonlines",
  "ndjson",
  "jsonstringseachrow",
  "jsoncompacteachrow",
  "jsoncompactstringseachrow",
  "native",
  "rowbinary",
  "msgpack",
  "null",
]);

/** Formats whose header is that many lines. Only in CSV, inside quotes, can a name hold a raw line end. */
const HEADER_LINES: Readonly<Record<string, number>> = {
  tabseparatedwithnames: 1,
  tsvwithnames: 1,
  tabseparatedrawwithnames: 1,
  tsvrawwithnames: 1,
  rawwithnames: 1,
  jsoncompacteachrowwithnames: 1,
  jsoncompactstringseachrowwithnames: 1,
  tabseparatedwithnamesandtypes: 2,
  tsvwithnamesandtypes: 2,
  tabseparatedrawwithnamesandtypes: 2,
  tsvrawwithnamesandtypes: 2,
  rawwithnamesandtypes: 2,
  jsoncompacteachrowwithnamesandtypes: 2,
  jsoncompactstringseachrowwithnamesandtypes: 2,
  csvwithnames: 1,
  csvwithnamesandtypes: 2,
};

/** `null`: this format cannot be streamed. */
export function createResultFormat(name: string): ResultFormat | null {
  const key = name.toLowerCase();
  if (PLAIN.has(key)) return { join: (block) => block };
  const lines = HEADER_LINES[key];
  if (lines !== undefined) return createHeaderFormat((block) => endOfLines(block, lines, key.startsWith("csv")));
  if (isProgressFormat(name)) return createProgressFormat();
  if (key === "rowbinarywithnames") return createHeaderFormat((block) => endOfBinaryHeader(block, 1));
  if (key === "rowbinarywithnamesandtypes") return createHeaderFormat((block) => endOfBinaryHeader(block, 2));
  return null;
}

/** All blocks of a result have the same columns, so the first header's length is every header's length. */
function createHeaderFormat(headerEnd: (block: Uint8Array) => number): ResultFormat {
  let headerBytes: number | null = null;
  return {
    join(block) {
      if (headerBytes !== null) return block.slice(headerBytes);
      headerBytes = headerEnd(block);
      return block;
    },
  };
}

/** Formats that tell their reader how far the statement is, in lines between the rows. */
export const isProgressFormat = (name: string): boolean => /^json(compact)?(strings)?eachrowwithprogress$/i.test(name);

/** Each block names the columns again, and what it says of the progress holds for that block alone: the front says that better. */
function createProgressFormat(): ResultFormat {
  let named = false;
  return {
    join(block) {
      const kept: Uint8Array[] = [];
      for (let at = 0; at < block.length; ) {
        const end = block.indexOf(LINE_END, at);
        const line = block.subarray(at, end === -1 ? block.length : end + 1);
        const isMeta = startsWith(line, '{"meta"');
        if (line.length > 1 && !startsWith(line, '{"progress"') && !(isMeta && named)) kept.push(line);
        named ||= isMeta;
        at += line.length;
      }
      return Buffer.concat(kept);
    },
  };
}

const startsWith = (line: Uint8Array, text: string): boolean =>
  line.length >= text.length && Buffer.from(line.buffer, line.byteOffset, text.length).toString("latin1") === text;

const LINE_END = 0x0a;
const QUOTE = 0x22;

function endOfLines(block: Uint8Array, lines: number, quotes: boolean): number {
  let quoted = false;
  let left = lines;
  for (let at = 0; at < block.length; at++) {
    if (quotes && block[at] === QUOTE) quoted = !quoted;
    else if (block[at] === LINE_END && !quoted && --left === 0) return at + 1;
  }
  return block.length;
}

/** A count, then as many strings, `lists` times; counts and lengths are LEB128. */
function endOfBinaryHeader(block: Uint8Array, lists: number): number {
  let at = 0;
  const readLength = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = block[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const columns = readLength();
  for (let string = 0; string < columns * lists; string++) {
    const length = readLength();
    at += length;
  }
  return at;
}
