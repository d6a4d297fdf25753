export function plotRecall(_t: unknown, _r: number): string {
  return "";
}
