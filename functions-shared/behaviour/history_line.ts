/**
 * Sequences as one line, and where each symbol stands in it. All that is built of a history before
 * anything is asked: experts look up the places of the few symbols a question is about.
 */
export class HistoryLine {
  /** All sequences, oldest first; -1 before, between and after them. */
  readonly symbols: Int32Array;
  /** How often each symbol comes. */
  readonly times: Int32Array;
  /** Places that have a follower, symbol by symbol. */
  readonly #places: Int32Array;
  readonly #from: Int32Array;

  constructor(sequences: readonly Int32Array[], symbols: number) {
    this.symbols = new Int32Array(sequences.reduce((sum, s) => sum + s.length + 1, 1)).fill(-1);
    this.times = new Int32Array(symbols);
    this.#from = new Int32Array(symbols + 1);
    let at = 1;
    for (const sequence of sequences) {
      this.symbols.set(sequence, at);
      for (let i = 0; i < sequence.length; i++) {
        this.times[sequence[i]!]!++;
        if (i + 1 < sequence.length) this.#from[sequence[i]! + 1]!++;
      }
      at += sequence.length + 1;
    }
    for (let s = 0; s < symbols; s++) this.#from[s + 1]! += this.#from[s]!;
    this.#places = new Int32Array(this.#from[symbols]!);
    const next = this.#from.slice();
    for (let place = 1; place + 1 < this.symbols.length; place++) {
      const symbol = this.symbols[place]!;
      if (symbol >= 0 && this.symbols[place + 1]! >= 0) this.#places[next[symbol]!++] = place;
    }
  }

  /** Places of a symbol that have a follower, oldest first. */
  placesOf(symbol: number): Int32Array {
    return this.#places.subarray(this.#from[symbol], this.#from[symbol + 1]);
  }
}
