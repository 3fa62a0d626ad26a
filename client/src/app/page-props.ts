export interface PageProps {
  /** The page's parameters from its path, decoded. */
  params: Readonly<Record<string, string>>;
}
