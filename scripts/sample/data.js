/** Leads of the sample app: made once from a fixed list, then kept in this browser. */
const KEY = "sample.leads";
const FIRST = [
  "Aino",
  "Bram",
  "Chidi",
  "Dalia",
  "Emil",
  "Farah",
  "Goran",
  "Hana",
  "Ivo",
  "Juno",
  "Kofi",
  "Lena",
];
const LAST = ["Okafor", "Lind", "Moreau", "Sato", "Novak", "Reyes", "Haddad", "Berg"];
const COMPANIES = [
  "Northwind",
  "Acorn Labs",
  "Bluefin",
  "Cinder",
  "Delta Mills",
  "Elmwood",
  "Fathom",
  "Granite",
];
export const STATUSES = ["new", "contacted", "qualified", "won", "lost"];
export const SOURCES = ["website", "referral", "event", "cold call"];

/** The leads that every browser begins with. */
export function firstLeads() {
  return Array.from({ length: 36 }, (_, i) => ({
    id: String(i + 1),
    name: `${FIRST[i * 5 % 12]} ${LAST[i * 3 % 8]}`,
    company: COMPANIES[i * 7 % 8],
    status: STATUSES[i * 3 % 5],
    source: SOURCES[i % 4],
    score: 20 + i * 37 % 80,
    budget: 1000 + i * 850 % 9000,
    calls: i % 3,
    notes: [],
    day: i,
  }));
}

/** All leads. */
export function leads() {
  const kept = localStorage.getItem(KEY);
  return kept ? JSON.parse(kept) : firstLeads();
}

/** Adds a lead, or changes the one with its id; returns it. */
export function save(lead) {
  const all = leads();
  const at = all.findIndex((other) => other.id === lead.id);
  const whole = at < 0
    ? {
      status: "new",
      score: 50,
      calls: 0,
      notes: [],
      day: all.length,
      ...lead,
      id: String(all.length + 1),
    }
    : { ...all[at], ...lead };
  if (at < 0) all.push(whole);
  else all[at] = whole;
  localStorage.setItem(KEY, JSON.stringify(all));
  return whole;
}
