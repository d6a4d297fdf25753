import { html, useState } from "./vendor/ui.js";
import { Icon } from "./icons.js";

/** Signs in or up with e-mail and password. */
export function SignIn({ supabase, url, onOther }) {
  const [fault, setFault] = useState("");
  const [note, setNote] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const credentials = Object.fromEntries(new FormData(event.target));
    const isNew = event.submitter?.value === "up";
    setBusy(true);
    const { data, error } = isNew
      ? await supabase.auth.signUp(credentials)
      : await supabase.auth.signInWithPassword(credentials);
    setBusy(false);
    setFault(error?.message ?? "");
    setNote(isNew && !error && !data.session ? "Look into your mail to confirm the address." : "");
  };
  return html`
    <main class="narrow">
      <div class="row" style="color:var(--accent)">
        <${Icon} name="mira" size="28" />
        <h1 style="color:var(--text)">Mira console</h1>
      </div>
      <p
        class="lead">See what was observed, what was learned from it, and what runs on it. You see your own data only.</p>
      <form class="card stack" onSubmit=${submit}>
        <label>E-mail <input name="email" type="email" autocomplete="username" required /></label>
        <label>Password <input name="password" type="password" autocomplete="current-password" minlength="8" required /></label>
        <p role="alert">${fault}</p>
        ${note && html`<p role="status">${note}</p>`}
        <div class="row">
          <button class="primary" value="in" disabled=${isBusy}>Sign in</button>
          <button value="up" disabled=${isBusy}>Create account</button>
        </div>
      </form>
      <p class="small muted">Project: ${url} ${onOther &&
        html`<button class="quiet small" onClick=${onOther}>Use another</button>`}</p>
    </main>
  `;
}
