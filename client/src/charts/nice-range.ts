/** A top that people can read, and that does not move with every tick: 1, 1.5, 2, 3, 4, 5, 6, 8 of its power of ten. */
export function niceRange(min: number | null, max: number | null, zeroBased: boolean): [number, number] {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  if (!zeroBased) {
    const room = (max - min) * 0.08 || Math.abs(max) * 0.05 || 1;
    return [min - room, max + room];
  }
  const low = Math.min(0, min);
  if (max <= 0) return [low < 0 ? -niceAbove(-low) : 0, low < 0 ? 0 : 1];
  return [low < 0 ? -niceAbove(-low) : 0, niceAbove(max * 1.04)];
}

function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((each) => each * power >= value) ?? 10;
  return step * power;
}
