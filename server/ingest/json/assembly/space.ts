const newline: u8 = 10;

/** Whether each event has a line of its own: a line end is then no space within one. */
let isByLine: bool = false;

export function setByLine(byLine: bool): void {
  isByLine = byLine;
}

export function isSpace(byte: u8): bool {
  return byte === 32 || byte === newline || byte === 9 || byte === 13;
}

/** Past the space within an event. */
export function skipSpace(at: usize): usize {
  let byte = load<u8>(at);
  // Nearly always there is none.
  if (byte > 32) return at;
  while (isSpace(byte) && !(isByLine && byte === newline)) byte = load<u8>(++at);
  return at;
}

/** Past the space between events. */
export function skipAllSpace(at: usize): usize {
  while (isSpace(load<u8>(at))) at++;
  return at;
}
