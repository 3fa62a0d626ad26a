export interface PaletteCommand {
  readonly label: string;
  /** What it is: a page, an action, a device. */
  readonly group: string;
  run(): void;
}

const shownMax = 12;

/** How well a name fits: 0 begins with the words, 1 has a part that does, 2 has them in it, 3 has their letters in order. */
function rank(label: string, words: string): number | undefined {
  const name = label.toLowerCase();
  if (name.startsWith(words)) return 0;
  if (name.split(/[^a-z0-9]+/).some((part) => part.startsWith(words))) return 1;
  if (name.includes(words)) return 2;
  let from = 0;
  for (const letter of words) {
    from = name.indexOf(letter, from) + 1;
    if (from === 0) return undefined;
  }
  return 3;
}

/** The best fits, in the order given where they fit alike; without words the first ones. */
export function matchCommands(commands: readonly PaletteCommand[], words: string): PaletteCommand[] {
  const wanted = words.trim().toLowerCase();
  if (wanted === "") return commands.slice(0, shownMax);
  return commands
    .flatMap((command) => {
      const fit = rank(command.label, wanted);
      return fit === undefined ? [] : [{ command, fit }];
    })
    .sort((a, b) => a.fit - b.fit)
    .slice(0, shownMax)
    .map(({ command }) => command);
}
