/** Brings every module up to date; gives the paths of those that were compiled. */
export function buildAssembly(root?: string): Promise<string[]>;
