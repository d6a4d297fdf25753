import type { Page } from "playwright-core";
import type { Chance } from "./random.ts";

/**
 * A person at the sample app: real mouse and keyboard in a real Chromium, on a clock that only
 * moves when they think. Controls are named as in the page (`data-mira` or field name).
 */
export class Hand {
  constructor(
    readonly page: Page,
    readonly chance: Chance,
    private readonly settled: () => Promise<void>,
  ) {}

  /** Lets between `from` and `to` seconds pass. */
  async think(from = 1, to = 6): Promise<void> {
    await this.wait(Math.round((from + this.chance.next() * (to - from)) * 1000));
  }

  /** Lets exactly `ms` pass. */
  async wait(ms: number): Promise<void> {
    await this.page.clock.runFor(ms);
    await this.settled();
  }

  /** Presses a control once, then thinks. `nth` chooses among several of that name. */
  async press(name: string, nth = 0): Promise<void> {
    await this.page.locator(selector(name)).nth(nth).click();
    await this.think();
  }

  /** Presses the same control `times` times in anger: about a quarter of a second apart. */
  async hammer(name: string, times: number, nth = 0): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.page.locator(selector(name)).nth(nth).click();
      await this.wait(this.chance.between(180, 320));
    }
    await this.think(3, 5);
  }

  /** Chooses in a select. Choosing what is chosen already is no choice, in a browser too. */
  async choose(name: string, value: string): Promise<void> {
    await this.page.locator(selector(name)).selectOption(value);
    await this.think(1, 4);
  }

  /** Types into a field and leaves it. */
  async type(name: string, text: string): Promise<void> {
    const field = this.page.locator(selector(name));
    await field.click();
    await field.fill("");
    await field.pressSequentially(text);
    await this.think(2, 8);
    await field.press("Tab");
    await this.wait(50);
  }

  /** Types a search and presses Enter. */
  async search(text: string): Promise<void> {
    const field = this.page.locator(selector("q"));
    await field.fill(text);
    await field.press("Enter");
    await this.think(2, 5);
  }
}

function selector(name: string): string {
  return `[data-mira="${name}"], [name="${name}"]`;
}
