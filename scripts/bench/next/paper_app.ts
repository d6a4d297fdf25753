/**
 * The sample app on paper: what the recorder's hands do to it, and the actions the client would
 * report. As a page of its own it takes the place of Chromium, so that a person's script can be
 * played thousands of times; the ceiling checks that it gives every recorded visit as it was.
 */

import type { Page } from "playwright-core";

/** A lead, as far as the list and the scripts depend on it. */
export interface PaperLead {
  id: string;
  name: string;
  company: string;
  status: string;
  score: number;
  day: number;
}

const PHONE = /^\+\d{8,14}$/;
/** The field that gets the focus after each of the form. */
const AFTER: Record<string, string> = {
  name: "company",
  company: "email",
  email: "phone",
  phone: "source",
};

const SORTS: Record<string, (a: PaperLead, b: PaperLead) => number> = {
  newest: (a, b) => b.day - a.day,
  score: (a, b) => b.score - a.score,
  name: (a, b) => a.name.localeCompare(b.name),
};

/** One visit's page. */
export class PaperApp {
  #path = "/leads";
  readonly #visited = ["/leads"];
  #list = { q: "", status: "all", sort: "name" };
  #form: Record<string, string> = {};
  readonly #begun = new Set<string>();

  /**
   * @param leads what this browser keeps; changed by the visit.
   * @param report called with each action's token, repeats too.
   */
  constructor(private readonly leads: PaperLead[], private readonly report: (t: string) => void) {
    this.#arrive();
  }

  /** As much of Playwright's page as the scripts use. */
  page(): Page {
    const locator = (css: string) => {
      const name = /"?([\w-]+)"?\]$/.exec(css)![1]!;
      const control = {
        nth: (n: number) => ({ click: () => Promise.resolve(this.#click(name, n)) }),
        count: () => Promise.resolve(this.#path === "/leads" ? this.#shown().length : 0),
        click: () => Promise.resolve(this.#focus(name)),
        fill: (text: string) => Promise.resolve(this.#fill(name, text)),
        pressSequentially: (text: string) => Promise.resolve(void (this.#form[name] = text)),
        selectOption: (value: string) => Promise.resolve(this.#choose(name, value)),
        press: (key: string) => Promise.resolve(this.#leave(name, key)),
      };
      return control;
    };
    const page = {
      clock: { runFor: () => Promise.resolve() },
      url: () => `http://app/#${this.#path}`,
      goBack: () => {
        this.#visited.pop();
        return Promise.resolve(this.#go(this.#visited.at(-1)!, true));
      },
      getByRole: () => ({ click: () => Promise.resolve(this.#saveNote()) }),
      locator,
    };
    return page as unknown as Page;
  }

  #act(type: string, target: string): void {
    this.report(`${type}:${this.#path.split("/")[1]}:${this.#name()}#${target}`);
  }

  #name(): string {
    return this.#path.replace(/\d+$/, ":id");
  }

  #arrive(): void {
    this.report(`navigation:${this.#path.split("/")[1]}:${this.#name()}`);
  }

  #go(path: string, isBack = false): void {
    if (path === this.#path) return;
    this.#path = path;
    if (!isBack) this.#visited.push(path);
    this.#list = { q: "", status: "all", sort: "name" };
    this.#form = {};
    this.#begun.clear();
    this.#arrive();
  }

  #shown(): PaperLead[] {
    const { q, status, sort } = this.#list;
    return this.leads
      .filter((lead) => status === "all" || lead.status === status)
      .filter((lead) => `${lead.name} ${lead.company}`.toLowerCase().includes(q.toLowerCase()))
      .sort(SORTS[sort]).slice(0, 12);
  }

  #click(name: string, nth: number): void {
    this.#act("click", name);
    if (name.startsWith("nav-")) this.#go(`/${name.slice(4)}`);
    else if (name === "back-to-list") this.#go("/leads");
    else if (name === "new-lead") this.#go("/leads/new");
    else if (name === "lead-row") {
      const lead = this.#shown()[nth];
      if (lead === undefined) throw new Error("no such row: the browser would wait in vain");
      this.#go(`/leads/${lead.id}`);
    } else if (/^(?:view|by)-/.test(name)) this.#act("input", name);
    else if (name === "save-lead") this.#saveLead();
  }

  #saveLead(): void {
    this.#act("form_submit", "lead-form");
    const { name = "", company = "", phone = "" } = this.#form;
    if (!PHONE.test(phone)) return;
    const id = String(this.leads.length + 1);
    this.leads.push({ id, name, company, status: "new", score: 50, day: this.leads.length });
    this.#go(`/leads/${id}`);
  }

  #saveNote(): void {
    this.#act("click", "note-form>div>button");
    this.#act("form_submit", "note-form");
    this.#begun.clear();
  }

  /** A field is reported when it is first entered. */
  #focus(name: string): void {
    const field = fieldOf(name);
    if (this.#begun.has(field)) return;
    this.#begun.add(field);
    this.#act("input", field);
  }

  #fill(name: string, text: string): void {
    if (name !== "q") return;
    if (this.#list.q !== text) this.#act("input", "q");
    this.#list.q = text;
  }

  #leave(name: string, key: string): void {
    if (key !== "Tab") return;
    this.#act("input", fieldOf(name));
    if (AFTER[name] !== undefined) this.#focus(AFTER[name]);
  }

  #choose(name: string, value: string): void {
    if (name === "status" || name === "sort") this.#list[name] = value;
    if (name === "lead-status") {
      this.leads.find(({ id }) => this.#path === `/leads/${id}`)!.status = value;
    }
    this.#act("input", name);
  }
}

function fieldOf(name: string): string {
  return `${name === "note" ? "note-form" : "lead-form"}.${name}`;
}
