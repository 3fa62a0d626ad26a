/** Every page of the dashboard, and what is on it once its data is there. */
export const measuredPages = {
  "/": ".value-panel canvas",
  "/devices": ".device-space .device-row",
  "/devices/sim-00004": ".series-row canvas",
  "/explore": ".explore-main .apexcharts-series path",
  "/alerts": ".ready-made, .alert-list",
  "/pipeline": ".flow",
} as const;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
