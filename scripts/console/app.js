/** The console's frame: where the project is, who is signed in, and which view is open. */
import { html, render, useEffect, useMemo, useState } from "./vendor/ui.js";
import { createClient } from "./vendor/supabase.js";
import { createMira } from "./vendor/mira.js";
import { Icon } from "./icons.js";
import { Learned } from "./learned.js";
import { Live } from "./live.js";
import { Log } from "./log.js";
import { Recall } from "./recall.js";
import { forgetProject, projectSettings, Settings } from "./settings.js";
import { SignIn } from "./sign_in.js";
import { Statistics } from "./statistics.js";
import { Vault } from "./vault.js";
import { Workflows } from "./workflows.js";

const VIEWS = [
  ["live", "Live", Live],
  ["learned", "Learned", Learned],
  ["recall", "Recall", Recall],
  ["workflows", "Workflows", Workflows],
  ["log", "Log", Log],
  ["vault", "Vault", Vault],
  ["statistics", "Statistics", Statistics],
];

function App() {
  const [project, setProject] = useState(undefined);
  useEffect(() => {
    projectSettings().then(setProject);
  }, []);
  if (project === undefined) return html`<p class="boot muted">Loading…</p>`;
  if (project === null) return html`<${Settings} onSave=${setProject} />`;
  return html`<${Project} key=${project.url} ...${project} />`;
}

function Project({ url, publishableKey, isOwn }) {
  const supabase = useMemo(() => createClient(url, publishableKey), []);
  const mira = useMemo(() => createMira(supabase, { autocapture: false }), []);
  const [session, setSession] = useState(undefined);
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_event, now) =>
      setSession((before) => before && now && before.user.id === now.user.id ? before : now)
    );
    return () => data.subscription.unsubscribe();
  }, []);
  if (session === undefined) return html`<p class="boot muted">Loading…</p>`;
  if (session === null) {
    return html`<${SignIn} supabase=${supabase} url=${url} onOther=${
      isOwn ? forgetProject : null
    } />`;
  }
  return html`<${Shell} key=${session.user.id} supabase=${supabase} mira=${mira} user=${session.user} />`;
}

function Shell({ supabase, mira, user }) {
  const [[view, ...rest], setPath] = useState(route());
  useEffect(() => {
    const moved = () => setPath(route());
    const typed = (event) => {
      const isText = event.target.closest?.("input,textarea,select,[contenteditable]");
      if (isText || event.ctrlKey || event.metaKey || event.altKey) return;
      const to = VIEWS[Number(event.key) - 1];
      if (to) location.hash = `/${to[0]}`;
      if (event.key === "/") {
        event.preventDefault();
        document.querySelector("main input")?.focus();
      }
    };
    addEventListener("hashchange", moved);
    addEventListener("keydown", typed);
    return () => {
      removeEventListener("hashchange", moved);
      removeEventListener("keydown", typed);
    };
  }, []);
  const [name, title, View] = VIEWS.find(([name]) => name === view) ?? VIEWS[0];
  useEffect(() => {
    document.title = `${title} · Mira`;
  }, [title]);
  const foot = html`
    <span>${user.email}</span>
    <div class="row">
      <button onClick=${() => supabase.auth.signOut()}>Sign out</button>
      <${ThemeButton} />
    </div>
  `;
  return html`
    <div class="shell">
      <nav class="side" aria-label="Views">
        <div class="name"><${Icon} name="mira" /> Mira</div>
        ${VIEWS.map(([id, text], i) =>
          html`
            <a class="view" href="#/${id}" title="${text} (${i + 1})" aria-current=${id === name
              ? "page"
              : null}>
              <${Icon} name=${id} /> ${text}
            </a>
          `
        )}
        <div class="foot">
          <a href="../sample/">Open the sample app</a>
          ${foot}
        </div>
      </nav>
      <main class="page">
        <${View} supabase=${supabase} mira=${mira} user=${user} path=${rest} />
        <div class="phone-foot row spread small muted">${foot}</div>
      </main>
    </div>
  `;
}

function ThemeButton() {
  const root = document.documentElement;
  const toggle = () => {
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("mira.theme", root.dataset.theme);
  };
  return html`<button onClick=${toggle} aria-label="Light or dark">◐</button>`;
}

function route() {
  return location.hash.replace(/^#\//, "").split("/").filter(Boolean);
}

render(html`<${App} />`, document.getElementById("app"));
