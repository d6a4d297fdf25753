/**
 * Requests as people repeat them: what is stored, how it is asked again, and what only looks alike.
 * Written by hand, before any weight was tuned. All of them were seen while tuning; held_out.ts was not.
 */

/** [stored trigger, the same intent in other words]. */
export const PARAPHRASES: [string, string][] = [
  ["Deploy the API to staging", "push the backend to our staging environment"],
  ["Fix failing unit tests after the refactor", "repair the broken test suite"],
  ["Add a dark mode toggle to settings", "let users switch to a dark theme"],
  ["Rotate the Stripe webhook secret", "change the signing key for payment webhooks from Stripe"],
  [
    "Export last month's invoices as CSV",
    "download the invoices of the previous month in a spreadsheet",
  ],
  ["Invite a teammate to the workspace", "add a colleague to our workspace"],
  [
    "Restore the database from last night's backup",
    "bring back the data from yesterday's snapshot",
  ],
  ["Speed up the slow dashboard query", "the dashboard SQL takes too long, optimise it"],
  ["Set up a weekly sales report email", "mail me the sales figures every week"],
  ["Merge duplicate contacts in the CRM", "clean up leads that appear twice"],
  ["Translate the landing page to German", "make a German version of the home page"],
  ["Upgrade React to version 19", "move the frontend to the newest React"],
  [
    "Investigate the memory leak in the worker",
    "find out why the worker process keeps using more RAM",
  ],
  ["Create a pull request for the login fix", "open a PR with the sign-in bug fix"],
  ["Write release notes for v2.3", "summarise the changes in 2.3 for the changelog"],
  ["Schedule a meeting with the design team", "book a call with the designers"],
  ["Refund the customer's last order", "give the client their money back for the latest purchase"],
  ["Add pagination to the users endpoint", "split the list of users in the API into pages"],
  ["Configure CORS for the public API", "allow browsers from other origins to call our API"],
  ["Remove unused npm dependencies", "get rid of packages we no longer need"],
  ["Convert the CSV upload to run in the background", "process uploaded CSV files asynchronously"],
  [
    "Block the spam sign-ups from one domain",
    "stop fake registrations coming from a single email domain",
  ],
  ["Renew the TLS certificate", "the https certificate expires, get a new one"],
  ["Archive projects without activity for a year", "put old inactive projects into the archive"],
  ["Import contacts from a Google sheet", "load people from a spreadsheet into contacts"],
  ["Reset a user's password", "help someone who cannot log in any more get a new password"],
  ["Run database migrations on production", "apply the schema changes to the live database"],
  ["Add an index to the orders table", "create an index so that looking up orders is quick"],
  ["Generate API documentation from the code", "produce docs for the endpoints automatically"],
  ["Set a budget alert for cloud costs", "warn me when our cloud spending is too high"],
  [
    "Compress the images on the product page",
    "make product pictures smaller so the page loads faster",
  ],
  [
    "Delete a user's personal data on request",
    "erase everything we store about a person who asked for it",
  ],
  ["Roll back the last release", "revert to the version before the latest deploy"],
  ["Enable two-factor login for admins", "require a second factor when administrators sign in"],
  ["Send a reminder for unpaid invoices", "chase customers who have not paid their bill"],
  ["Split the monolith's billing module", "extract billing into its own service"],
  ["Record a demo video of the new editor", "make a screencast that shows the new editor"],
  ["Cache the product catalogue", "keep the catalogue in memory so it is served faster"],
  ["Find flaky tests in CI", "which tests fail only sometimes in the pipeline"],
  ["Set up error alerts in Slack", "post a message to the Slack channel when something crashes"],
];

/** Stored beside them: the words of a paraphrase, another intent. */
export const DISTRACTORS: string[] = [
  "Delete the staging environment",
  "Push notifications to the backend queue",
  "Write a test plan for the broken elevator",
  "Buy a theme for users who like a dark room",
  "Change the payment plan from monthly to yearly",
  "Sign the contract with Stripe",
  "Delete the invoices of the previous tenant",
  "Move a colleague's desk to another workspace",
  "Take a snapshot of yesterday's whiteboard",
  "The dashboard colours are too dark, change them",
  "Print the sales contract every week",
  "Buy twice as many leads",
  "Book a hotel near the German home office",
  "Rate the newest React conference talks",
  "Order more RAM for the worker's laptop",
  "Close the sign-in bug as a duplicate",
  "Count the changes in the price list for 2.3 percent",
  "Call the designers' printer support",
  "Give the client a discount for the next purchase",
  "List the pages of the API book",
  "Block browsers that are too old",
  "Send packages we no longer need back to the warehouse",
  "Process refunds for uploaded gift cards",
  "Register a single email domain",
  "Frame the certificate on the office wall",
  "Put old chairs into the archive room",
  "Put people from the spreadsheet on the guest list",
  "Log in to the new password manager",
  "Apply for a live database certification",
  "Index the book about quick orders",
];

/** Same words, other meaning: what asked, what means it, what only says it. */
export const TRAPS: [string, string, string][] = [
  [
    "kill the process that holds the port",
    "Stop the program listening on port 3000",
    "Process the port kill list for customs",
  ],
  [
    "close the issue tracker for guests",
    "Disable guest access to the issue tracker",
    "Close the issue about guests",
  ],
  ["train the new support people", "Onboard new support agents", "New train support people ride"],
  ["table the budget discussion", "Postpone the budget talk", "Add a budget discussion table"],
];
