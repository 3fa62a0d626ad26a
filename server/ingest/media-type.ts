/** Whether a Content-Type header names `type`; with a charset, that is UTF-8. */
export function isMediaType(header: string, type: string): boolean {
  if (header === type) return true;
  const [given, ...parameters] = header.toLowerCase().split(";");
  if (given?.trim() !== type) return false;
  return parameters.every((parameter) => {
    const [name, value] = parameter.split("=");
    return name?.trim() !== "charset" || value?.trim().replaceAll('"', "") === "utf-8";
  });
}
