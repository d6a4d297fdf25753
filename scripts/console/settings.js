import { html, useState } from "./vendor/ui.js";

const KEY = "mira.project";

/**
 * Which project this console talks to: what the stack serves as config.json, else what somebody
 * entered before, else null.
 */
export async function projectSettings() {
  try {
    const response = await fetch(new URL("config.json", import.meta.url));
    if (response.ok) return await response.json();
  } catch { /* a plain static host: ask */ }
  const kept = localStorage.getItem(KEY);
  return kept ? { ...JSON.parse(kept), isOwn: true } : null;
}

/** Forgets what was entered, so that another project can be. */
export function forgetProject() {
  localStorage.removeItem(KEY);
  location.reload();
}

/** Asks for a hosted project's URL and publishable key. */
export function Settings({ onSave }) {
  const [fault, setFault] = useState("");
  const submit = (event) => {
    event.preventDefault();
    const { url, publishableKey } = Object.fromEntries(new FormData(event.target));
    if (publishableKey.startsWith("sb_secret_") || publishableKey.includes("service_role")) {
      return setFault(
        "That is a secret key. It must never be in a browser; use the publishable one.",
      );
    }
    const project = { url: url.trim().replace(/\/+$/, ""), publishableKey: publishableKey.trim() };
    localStorage.setItem(KEY, JSON.stringify(project));
    onSave({ ...project, isOwn: true });
  };
  return html`
    <main class="narrow">
      <h1>Which project?</h1>
      <p
        class="lead">The console works with any Supabase project that has Mira. Both values are under Project Settings, API Keys; they stay in this browser.</p>
      <form class="card stack" onSubmit=${submit}>
        <label>Project URL <input name="url" type="url" placeholder="https://….supabase.co" required /></label>
        <label>Publishable key <input name="publishableKey" placeholder="sb_publishable_…" autocomplete="off" required /></label>
        <p role="alert">${fault}</p>
        <div><button class="primary">Open</button></div>
      </form>
    </main>
  `;
}
