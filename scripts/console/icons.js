import { html } from "./vendor/ui.js";

const PATHS = {
  mira:
    "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8ZM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z",
  live: "M1.5 8h3l2-5 3 10 2-5h3",
  learned:
    "M8 2v2M8 12v2M2 8h2M12 8h2M4 4l1.4 1.4M10.6 10.6 12 12M12 4l-1.4 1.4M5.4 10.6 4 12M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z",
  recall: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3 14 14",
  workflows: "M2 2.5h4v3H2zM10 6.5h4v3h-4zM2 10.5h4v3H2zM6 4h2v8H6M8 8h2",
  log: "M3 3.5h10M3 6.5h7M3 9.5h10M3 12.5h5",
  vault: "M4 7V5a4 4 0 0 1 8 0v2M3 7h10v6.5H3zM8 9.5v1.8",
  statistics: "M2.5 13.5v-5M6.2 13.5v-9M9.8 13.5V7M13.5 13.5v-11",
};

/** A line icon by the name of its view. */
export function Icon({ name, size = 18 }) {
  return html`
    <svg viewBox="0 0 16 16" width=${size} height=${size} fill="none" stroke="currentColor"
      stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d=${PATHS[name]} />
    </svg>
  `;
}
