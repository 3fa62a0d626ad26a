/**
 * Tells whether a whole HTTP/1.1 answer has arrived. With one request in flight a connection, an answer of the length
 * and status of an earlier whole one is whole; only the first of each length is parsed.
 */
export function createAnswerParser(): { statusIfComplete(answer: Buffer): number } {
  let knownLength = 0;
  let knownStatus = 0;
  return {
    statusIfComplete(answer) {
      if (answer.length < 12) return 0;
      const status = (answer[9]! - 48) * 100 + (answer[10]! - 48) * 10 + (answer[11]! - 48);
      if (answer.length === knownLength && status === knownStatus && answer[0] === 72) return status;
      const length = answerLength(answer);
      if (length === null || answer.length < length) return 0;
      if (answer.length > length) throw new Error(`answer is ${answer.length - length} bytes too long`);
      knownLength = length;
      knownStatus = status;
      return status;
    },
  };
}

/** Length of the whole answer, or null while it cannot be told. */
function answerLength(answer: Buffer): number | null {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const head = answer.toString("latin1", 0, headEnd).toLowerCase();
  const stated = /\r\ncontent-length: *(\d+)/.exec(head);
  if (stated) return headEnd + 4 + Number(stated[1]);
  if (!head.includes("transfer-encoding: chunked")) return headEnd + 4;
  const end = answer.indexOf("\r\n0\r\n\r\n", headEnd + 2);
  return end < 0 ? null : end + 7;
}
