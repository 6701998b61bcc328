/**
 * Indices of `count` of `total` things, evenly, the first and the last among them: numpy.linspace(0, total − 1, count,
 * dtype=int), as Magma's evaluation samples a video, but each once: all where there are fewer. Both at least 1.
 */
export function spread(total: number, count: number): readonly number[] {
  if (count >= total) return Array.from({ length: total }, (_, i) => i);
  if (count === 1) return [0];
  const step = (total - 1) / (count - 1);
  const at = (i: number): number => (i === count - 1 ? total - 1 : Math.floor(i * step));
  return Array.from({ length: count }, (_, i) => at(i));
}
