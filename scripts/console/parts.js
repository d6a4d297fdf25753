/** Small parts that several views share. */
import { html, useCallback, useEffect, useRef, useState } from "./vendor/ui.js";

/**
 * What `load` resolves to, kept while it is loaded again so that nothing jumps.
 * `everyMs` repeats it while the page is visible.
 */
export function useLoad(load, deps = [], everyMs = 0) {
  const [state, setState] = useState({ value: undefined, error: null, isLoading: true });
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current;
    setState((before) => ({ ...before, isLoading: true }));
    try {
      const value = await load();
      if (mine === turn.current) setState({ value, error: null, isLoading: false });
    } catch (error) {
      if (mine === turn.current) setState((before) => ({ ...before, error, isLoading: false }));
    }
  }, deps);
  useEffect(() => {
    setState({ value: undefined, error: null, isLoading: true });
    reload();
    const timer = everyMs &&
      setInterval(() => document.visibilityState === "visible" && reload(), everyMs);
    return () => {
      turn.current++;
      clearInterval(timer);
    };
  }, [reload]);
  return { ...state, reload };
}

/** Rows of a supabase-js query, or its error thrown. */
export async function rows(query) {
  const { data, error } = await query;
  if (error) throw error;
  return data;
}

/** What a view shows before it has data, without any, or when asking for it failed. */
export function Loaded({ of, empty, children }) {
  if (of.value === undefined && of.error) {
    return html`<${Fault} error=${of.error} onRetry=${of.reload} />`;
  }
  if (of.value === undefined) return html`<p class="wait card" aria-busy="true">Loading…</p>`;
  const isEmpty = empty && (Array.isArray(of.value) ? of.value.length === 0 : !of.value);
  return html`${of.error && html`<${Fault} error=${of.error} onRetry=${of.reload} />`}${
    isEmpty ? empty : children(of.value)
  }`;
}

/** Says what went wrong, in the server's words. */
export function Fault({ error, onRetry }) {
  return html`<div role="alert" class="row spread">
    <span>${error.message || "Something went wrong."}${
    error.code
      ? html`
        <code>${error.code}</code>
      `
      : ""
  }</span>
    ${onRetry && html`<button onClick=${onRetry}>Try again</button>`}
  </div>`;
}

/** Why there is nothing here, and what to do about it. */
export function Empty({ title, children }) {
  return html`<div class="card empty"><h2>${title}</h2>${children}</div>`;
}

/** Title and one sentence of a view, with what can be done at the right. */
export function Head({ title, lead, children }) {
  return html`<header class="stack">
    <div class="row spread"><h1>${title}</h1><div class="row">${children}</div></div>
    ${lead && html`<p class="lead">${lead}</p>`}
  </header>`;
}

/** A share between 0 and 1 as a bar and a number. */
export function Meter({ value, label }) {
  const share = Math.max(0, Math.min(1, Number(value) || 0));
  return html`
    <span class="meter" role="meter" aria-valuemin="0" aria-valuemax="1" aria-valuenow=${share}
      aria-label=${label}>
        <i style="--value:${share}"></i>${Math.round(share * 100)} %
      </span>
  `;
}

/** A moment, short, with the whole of it as title. */
export function Time({ at, day }) {
  if (!at) return "–";
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const text = isToday && !day
    ? date.toLocaleTimeString([], {
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hour12: false,
    })
    : date.toLocaleDateString([], { day: "numeric", month: "short" });
  return html`<time datetime=${date.toISOString()} title=${date.toLocaleString()} class="muted">${text}</time>`;
}

/** Any value as indented JSON. */
export function Json({ value }) {
  return html`<pre>${JSON.stringify(value, null, 2)}</pre>`;
}

/** A button that is busy while its action runs and says when it failed. */
export function Act({ run, children, ...more }) {
  const [state, setState] = useState({ isBusy: false, error: null });
  const alive = useRef(true);
  useEffect(() => () => alive.current = false, []);
  const press = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    try {
      await run();
      if (alive.current) setState({ isBusy: false, error: null });
    } catch (error) {
      if (alive.current) setState({ isBusy: false, error });
    }
  };
  return html`<button ...${more} disabled=${
    state.isBusy || more.disabled
  } onClick=${press}>${children}</button>
    ${state.error && html`<span role="alert">${state.error.message}</span>`}`;
}
