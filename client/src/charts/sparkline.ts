export interface SparklineSize {
  /** In CSS pixels. */
  width: number;
  height: number;
}

/** Draws `values` (oldest first, NaN is a gap) as a line over the whole canvas, from zero. */
export function drawSparkline(
  canvas: HTMLCanvasElement,
  size: SparklineSize,
  values: Float32Array,
  color: string,
  fill: boolean,
): void {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(size.width * ratio);
  const height = Math.round(size.height * ratio);
  if (width === 0 || height === 0) return;
  // Setting the size clears a canvas and drops its buffer, so only when it has changed.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, width, height);
  let max = 0;
  for (const value of values) if (value > max) max = value;
  if (max === 0) max = 1;
  const line = 1.25 * ratio;
  const xOf = (index: number): number => (index / Math.max(1, values.length - 1)) * (width - line) + line / 2;
  const yOf = (value: number): number => height - line - (value / max) * (height - 2 * line);
  context.strokeStyle = color;
  context.lineWidth = line;
  context.lineJoin = "round";
  for (const run of runsOf(values)) {
    context.beginPath();
    for (let index = run.start; index < run.end; index++) context.lineTo(xOf(index), yOf(values[index]!));
    context.stroke();
    if (!fill) continue;
    // Each run has its own ground: a fill across a gap would paint what nobody knows.
    context.lineTo(xOf(run.end - 1), height);
    context.lineTo(xOf(run.start), height);
    context.globalAlpha = 0.12;
    context.fillStyle = color;
    context.fill();
    context.globalAlpha = 1;
  }
}

/** The stretches without a gap, as index ranges. */
export function runsOf(values: Float32Array): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  let start = -1;
  for (let index = 0; index <= values.length; index++) {
    const known = index < values.length && !Number.isNaN(values[index]!);
    if (known && start < 0) start = index;
    if (known || start < 0) continue;
    runs.push({ start, end: index });
    start = -1;
  }
  return runs;
}
