/**
 * A run's money and tokens, shared by everything of it that is under way here.
 *
 * A task knows what was left when it was issued. Its siblings spend at the same time, so what it may
 * spend is that, less what this process has spent on the run and the task has not heard of, less
 * what calls that are still being answered may come to. A call that finds too little waits for them
 * to end, since they rarely cost what they may; only then is it refused.
 *
 * @module
 */
import type { Allowance } from "../workflow/usage.ts";
import type { BudgetLeft, StepUsage } from "./engine.ts";

/** Tokens and millionths of a US dollar. */
export interface Amount {
  tokens: number;
  micros: number;
}

const amountOf = (usage: StepUsage): Amount => ({
  tokens: usage.input_tokens + usage.output_tokens,
  micros: usage.cost_micros ?? 0,
});

/** What a piece of work may spend. */
export interface TaskPurse {
  /** what is left for a call that begins now */
  allowance(): Allowance;
  /** whether calls that are under way may give some of it back */
  isShared(): boolean;
  /** resolves when one of them has ended */
  change(): Promise<void>;
  /** sets the most that a call may cost aside; the returned function settles what it did cost */
  reserve(most: Amount): (usage?: StepUsage) => void;
}

/** The purse of one run. */
export class Purse {
  #spent: Amount = { tokens: 0, micros: 0 };
  #recorded: Amount = { tokens: 0, micros: 0 };
  #reserved: Amount = { tokens: 0, micros: 0 };
  #open = 0;
  #waiting: (() => void)[] = [];

  /** The engine has heard of this spending, so tasks issued from now on know of it. */
  record(usage: StepUsage) {
    this.#recorded = add(this.#recorded, amountOf(usage));
  }

  /** What a task may spend that was issued with `left` just now. */
  openFor(left: BudgetLeft | undefined): TaskPurse {
    const known = this.#recorded;
    return {
      allowance: () => {
        const unheard = add(add(this.#spent, this.#reserved), known, -1);
        const { tokens = null, cost_micros: micros = null } = left ?? {};
        return {
          ...(tokens === null ? {} : { tokens: tokens - unheard.tokens }),
          ...(micros === null ? {} : { cost_usd: (micros - unheard.micros) / 1e6 }),
        };
      },
      isShared: () => this.#open > 0,
      change: () => new Promise((resolve) => this.#waiting.push(resolve)),
      reserve: (most) => {
        this.#reserved = add(this.#reserved, most);
        this.#open++;
        return (usage) => {
          this.#reserved = add(this.#reserved, most, -1);
          this.#open--;
          if (usage) this.#spent = add(this.#spent, amountOf(usage));
          this.#waiting.splice(0).forEach((resolve) => resolve());
        };
      },
    };
  }
}

function add(a: Amount, b: Amount, sign = 1): Amount {
  return { tokens: a.tokens + sign * b.tokens, micros: a.micros + sign * b.micros };
}
