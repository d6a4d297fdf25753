/** The sample app: what a product that uses Mira looks like. Mira itself is the one call in `start`. */
import { html, render, useEffect, useState } from "../console/vendor/ui.js";
import { createClient } from "../console/vendor/supabase.js";
import { createMira } from "../console/vendor/mira.js";
import { projectSettings } from "../console/settings.js";
import { LeadDetail } from "./lead_detail.js";
import { LeadForm } from "./lead_form.js";
import { LeadList } from "./lead_list.js";
import { Reports } from "./reports.js";
import { SignIn } from "./sign_in.js";

const PAGES = [
  [/^\/leads\/new$/, () => html`<${LeadForm} />`],
  [/^\/leads\/(\w+)$/, (id) => html`<${LeadDetail} key=${id} id=${id} />`],
  [/^\/reports$/, () => html`<${Reports} />`],
  [/^/, () => html`<${LeadList} />`],
];

function App({ supabase }) {
  const [path, setPath] = useState(route());
  const [session, setSession] = useState(undefined);
  useEffect(() => {
    const moved = () => setPath(route());
    addEventListener("hashchange", moved);
    const { data } = supabase.auth.onAuthStateChange((_event, now) => setSession(now));
    return () => {
      removeEventListener("hashchange", moved);
      data.subscription.unsubscribe();
    };
  }, []);
  if (session === undefined) return null;
  if (session === null) return html`<${SignIn} supabase=${supabase} />`;
  const [pattern, view] = PAGES.find(([pattern]) => pattern.test(path));
  const link = (to, text) =>
    html`<a href="#${to}" data-mira="nav-${text.toLowerCase()}" aria-current=${
      path === to ? "page" : null
    }>${text}</a>`;
  return html`
    <header class="bar">
      <strong>Leads</strong>
      <nav>${link("/leads", "Leads")}${link("/reports", "Reports")}</nav>
      <a href="../console/" class="small" data-mira-ignore>Mira console</a>
      <button class="quiet small" data-mira-ignore onClick=${() =>
        supabase.auth.signOut()}>Sign out</button>
    </header>
    <main data-mira-module=${path.split("/")[1]}>${view(
      ...(path.match(pattern) ?? []).slice(1),
    )}</main>
  `;
}

function route() {
  return location.hash.slice(1) || "/leads";
}

async function start() {
  if (!location.hash) history.replaceState(null, "", "#/leads");
  const project = await projectSettings();
  const root = document.getElementById("app");
  if (!project) {
    const first =
      html`<p class="narrow card">Tell the <a href="../console/">console</a> first which project this is.</p>`;
    return render(first, root);
  }
  const supabase = createClient(project.url, project.publishableKey);
  globalThis.mira = createMira(supabase);
  render(html`<${App} supabase=${supabase} />`, root);
}

start();
