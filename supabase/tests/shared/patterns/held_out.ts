/**
 * Requests that no weight was tuned on. Tuning is done on paraphrases.ts; this file only judges.
 *
 * The rule: twenty areas of work; for each, in one go and before any weight was tried on it, one
 * request of each of four kinds. Nothing was reworded, dropped or added after the first score.
 *
 * - `meaning`: the same intent, at most one telling word in common.
 * - `trap`: as `meaning`, and a decoy is stored beside it that says the request's words and means
 *   something else.
 * - `identifier`: a name, number, path or code that appears in the stored text decides between it
 *   and a sibling that differs in nothing else.
 * - `scrap`: an unfinished request in another language or a mix, against a stored text in that
 *   language with other endings and another order.
 *
 * All 120 stored texts stand beside each other: every request has 119 wrong answers.
 */

/** What is asked, what means it, and (traps, identifiers) what only looks like it. */
export interface HeldOut {
  kind: "meaning" | "trap" | "identifier" | "scrap";
  query: string;
  stored: string;
  decoy?: string;
}

const meaning: [string, string][] = [
  ["get the new version in front of customers", "Release the mobile app to the store"],
  ["the tests run forever, make them quicker", "Parallelise the slow integration suite"],
  ["nobody can log in since this morning", "Investigate the authentication outage"],
  ["who has not paid us yet", "List overdue invoices"],
  ["remind people about their appointment", "Send calendar notifications before a meeting"],
  ["we are running out of disk space", "Clean up old log files on the server"],
  ["tell everyone what we shipped", "Draft the product announcement newsletter"],
  ["hire someone for the backend", "Post a job opening for a server developer"],
  ["our page shows up badly on phones", "Fix the responsive layout on small screens"],
  ["which customers might leave us", "Compute the churn risk for each account"],
  ["make a copy of everything in case it breaks", "Take a full backup of production"],
  ["let visitors chat with us", "Embed the live support widget on the site"],
  ["stop robots from filling in our forms", "Add a captcha to the contact page"],
  ["how did the campaign perform", "Summarise last week's marketing results"],
  ["change the price of the premium tier", "Update the subscription plan amount"],
  ["let the new hire see the repository", "Grant repository access to an employee"],
  ["write down what was decided today", "Take minutes of the meeting"],
  ["the search gives useless results", "Improve the relevance ranking"],
  ["turn these photos into a document", "Create a PDF from scanned images"],
  ["figure out why the bill got so high", "Analyse the increase in cloud spending"],
];

const trap: [string, string, string][] = [
  [
    "ship the release to customers",
    "Deploy the new version to production",
    "Customers asked about ship release papers",
  ],
  [
    "test the staging environment",
    "Run a smoke check on the pre-production servers",
    "Write about the environment of a stage test",
  ],
  [
    "block the user's account",
    "Suspend a member for abuse",
    "Account for the block of users on the seat map",
  ],
  [
    "bill the client for March",
    "Send an invoice for last month's work",
    "Client named Bill visits in March",
  ],
  [
    "book a table for the team",
    "Reserve a restaurant for our group",
    "Add the book table to the team database",
  ],
  [
    "drop the old users table",
    "Remove the legacy accounts relation from the database",
    "Drop off old table users at the warehouse",
  ],
  [
    "post the update to the channel",
    "Announce the change in Slack",
    "Update the postal channel of the post office",
  ],
  [
    "interview the lead developer",
    "Talk to the senior engineer as a candidate",
    "Develop a lead from the interview podcast",
  ],
  [
    "fix the header on the page",
    "Repair the navigation bar at the top of the site",
    "Page numbers fix in the printed header sheet",
  ],
  [
    "score the new leads",
    "Rate incoming prospects by quality",
    "Lead singer's new score sheet",
  ],
  [
    "restore the dump",
    "Load the database backup again",
    "Report the restored waste dump to the city",
  ],
  [
    "close the open tickets",
    "Resolve pending support requests",
    "Open ticket sales close on Friday",
  ],
  [
    "catch the bot traffic",
    "Detect automated visitors",
    "Catch the bus before the traffic",
  ],
  [
    "run the numbers for the ad",
    "Calculate the advertising return",
    "Number the runners in the ad photo",
  ],
  [
    "raise the plan limit",
    "Increase the quota of a subscription",
    "Plan a raise for the limit inspector",
  ],
  [
    "pull the branch and merge it",
    "Integrate the feature code into main",
    "Merge the bank branch that pulls in customers",
  ],
  [
    "table the vote until next week",
    "Postpone the decision",
    "Vote for the table of the week",
  ],
  [
    "rank the results by match",
    "Order the answers by relevance",
    "Football match results by rank",
  ],
  [
    "crop the pictures of the field",
    "Cut the photographs to size",
    "Pictures of crops in the field",
  ],
  [
    "cut the cost of the cloud",
    "Reduce our hosting expenses",
    "Cost of a cloud-shaped cookie cutter",
  ],
];

const identifier: [string, string, string][] = [
  ["ship v4.12.1 please", "Release version v4.12.1", "Release version v4.11.2"],
  ["why does test_checkout_42 fail", "Debug test_checkout_42", "Debug test_checkout_24"],
  ["errors with AUTH-1009 again", "Handle login error AUTH-1009", "Handle login error AUTH-1090"],
  ["what about INV-2024-0077", "Correct invoice INV-2024-0077", "Correct invoice INV-2024-0770"],
  ["move the room R3.14 booking", "Change the booking of R3.14", "Change the booking of R3.41"],
  ["/var/log/nginx is full", "Rotate logs in /var/log/nginx", "Rotate logs in /var/log/mysql"],
  ["send issue_118 of the letter", "Publish newsletter issue_118", "Publish newsletter issue_181"],
  ["candidate for REQ-BE-07", "Screen applicants for REQ-BE-07", "Screen applicants for REQ-FE-07"],
  ["NavBar.tsx looks wrong", "Adjust spacing in NavBar.tsx", "Adjust spacing in SideBar.tsx"],
  ["acct_9f3b churned?", "Review account acct_9f3b", "Review account acct_9b3f"],
  ["bring back db-eu-2", "Restore replica db-eu-2", "Restore replica db-us-2"],
  ["customer on ticket #58231", "Answer ticket #58231", "Answer ticket #58213"],
  ["10.0.4.17 hammers us", "Block address 10.0.4.17", "Block address 10.0.7.14"],
  [
    "numbers for utm_spring26",
    "Report on campaign utm_spring26",
    "Report on campaign utm_autumn26",
  ],
  [
    "plan_pro_annual is mispriced",
    "Edit price of plan_pro_annual",
    "Edit price of plan_pro_monthly",
  ],
  [
    "key for svc-ingest-a",
    "Rotate credentials of svc-ingest-a",
    "Rotate credentials of svc-ingest-b",
  ],
  ["notes of RFC-31", "Summarise discussion of RFC-31", "Summarise discussion of RFC-13"],
  ["idx_docs_tsv is slow", "Rebuild index idx_docs_tsv", "Rebuild index idx_docs_trgm"],
  [
    "scan_0093.tiff to text",
    "Recognise text in scan_0093.tiff",
    "Recognise text in scan_0039.tiff",
  ],
  ["i-0ab12f costs too much", "Resize instance i-0ab12f", "Resize instance i-0ba21f"],
];

const scrap: [string, string][] = [
  ["neue version ausliefern kunden", "Die neue Version an alle Kunden ausliefern"],
  ["los tests fallan otra vez", "Arreglar los tests que fallan en CI"],
  ["connexion impossible utilisateurs", "Réparer la connexion des utilisateurs"],
  ["rechnung mahnen offene", "Offene Rechnungen anmahnen"],
  ["cita recordatorio enviar", "Enviar recordatorios de citas"],
  ["place disque serveur plein", "Libérer de la place sur le disque du serveur"],
  ["рассылка новостей клиентам", "Отправить клиентам рассылку с новостями"],
  ["stelle ausschreiben backend", "Eine Stelle im Backend ausschreiben"],
  ["layout móvil roto arreglar", "Arreglar el diseño móvil roto de la portada"],
  ["kündigung risiko pro kunde", "Risiko einer Kündigung je Kunde berechnen"],
  ["sauvegarde base complète", "Faire une sauvegarde complète de la base"],
  ["ответить на обращение", "Ответить на обращения в поддержку"],
  ["spam formulario bloquear", "Bloquear el spam del formulario de contacto"],
  ["kampagne auswerten letzte woche", "Auswertung der Kampagne der letzten Woche"],
  ["changer prix abonnement", "Changer le prix de l'abonnement annuel"],
  ["zugriff repo geben neue", "Neuen Kollegen Zugriff auf das Repo geben"],
  ["acta reunión escribir", "Escribir el acta de la reunión"],
  ["suche besser sortieren treffer", "Treffer der Suche besser sortieren"],
  ["convertir photos en pdf", "Convertir des photos scannées en PDF"],
  ["счёт облако почему вырос", "Выяснить, почему вырос счёт за облако"],
];

/** Eighty requests, twenty of each kind. */
export const HELD_OUT: HeldOut[] = [
  ...meaning.map(([query, stored]): HeldOut => ({ kind: "meaning", query, stored })),
  ...trap.map(([query, stored, decoy]): HeldOut => ({ kind: "trap", query, stored, decoy })),
  ...identifier.map(([query, stored, decoy]): HeldOut => ({
    kind: "identifier",
    query,
    stored,
    decoy,
  })),
  ...scrap.map(([query, stored]): HeldOut => ({ kind: "scrap", query, stored })),
];
