const nothing = new Uint8Array(0);

interface RecoveredPiece {
  readonly epoch: number;
  readonly rows: Uint8Array;
  readonly last: boolean;
}

export type RecoveredFold = (piece: RecoveredPiece) => void;

/**
 * Folds the rows that an earlier run left, a piece at a time and in order: one epoch a batch, before those of this run. A piece
 * may end in the middle of a row. `taken` is called for each piece once it is folded, for the next one.
 */
export function createRecoveredFold(deps: {
  /** Resolves to where the last whole row ends. */
  readonly foldRows: (epoch: number, rows: Uint8Array) => Promise<number>;
  readonly taken: () => void;
}): RecoveredFold {
  let rest: Uint8Array = nothing;
  let folded: Promise<void> = Promise.resolve();

  async function fold({ epoch, rows, last }: RecoveredPiece): Promise<void> {
    const bytes = rest.length === 0 ? rows : Buffer.concat([rest, rows]);
    const end = await deps.foldRows(epoch, bytes);
    rest = last ? nothing : bytes.slice(end);
    deps.taken();
  }

  return (piece) => {
    folded = folded.then(() => fold(piece));
  };
}
