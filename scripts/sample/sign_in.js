import { html, useState } from "../console/vendor/ui.js";

/** Signs in, or up when the address is new. Nothing here is recorded. */
export function SignIn({ supabase }) {
  const [fault, setFault] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.target));
    const isNew = event.submitter?.value === "up";
    const { error } = isNew
      ? await supabase.auth.signUp({ email, password })
      : await supabase.auth.signInWithPassword({ email, password });
    setFault(error?.message ?? "");
  };
  return html`
    <form class="card stack narrow" data-mira-ignore onSubmit=${submit}>
      <h1>Sign in to Leads</h1>
      <label>E-mail <input name="email" type="email" autocomplete="username" required /></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" minlength="8" required /></label>
      <p role="alert">${fault}</p>
      <div class="row">
        <button class="primary" value="in">Sign in</button>
        <button value="up">Create account</button>
      </div>
    </form>
  `;
}
