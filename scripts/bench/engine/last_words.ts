/** The end of what a process had to say before it failed, in a line. */
export function lastWords(stderr: string): string {
  return stderr.trim().split("\n").slice(-3).join(" ").slice(0, 300);
}
