/** A progress bar for a terminal; one line a tenth where there is none. */
export class Progress {
  readonly #started = performance.now();
  #shown = -1;

  constructor(readonly label: string, readonly total: number, readonly unit: string) {}

  /** Shows that `done` of the total are through. */
  update(done: number): void {
    const share = this.total === 0 ? 1 : done / this.total;
    const step = Math.floor(share * (Deno.stdout.isTerminal() ? 100 : 10));
    if (step === this.#shown) return;
    this.#shown = step;
    const filled = Math.round(share * 30);
    const rate = Math.round(done / ((performance.now() - this.#started) / 1000 || 1));
    const line = `  ${this.label} [${"█".repeat(filled)}${"·".repeat(30 - filled)}] ` +
      `${done}/${this.total} ${this.unit}, ${rate}/s`;
    if (Deno.stdout.isTerminal()) {
      Deno.stdout.writeSync(new TextEncoder().encode(`\r${line}${done >= this.total ? "\n" : ""}`));
    } else console.log(line);
  }
}
