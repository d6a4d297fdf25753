import { stripVTControlCharacters } from "node:util";

/** Of what a process had to say before it failed: the error, or else its last line. */
export function lastWords(stderr: string): string {
  const lines = stripVTControlCharacters(stderr).trim().split("\n");
  return (lines.find((line) => line.startsWith("error:")) ?? lines.at(-1)!).slice(0, 300);
}
