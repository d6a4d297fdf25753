/** Every engine under measurement, by the name it goes by. */

import { openDbos } from "./dbos.ts";
import { openLanggraph } from "./langgraph.ts";
import { openMastra } from "./mastra.ts";
import { openOpenworkflow } from "./openworkflow.ts";
import { openOurs } from "./ours.ts";
import { openOursHttp } from "./ours_http.ts";
import { openPgflow } from "./pgflow.ts";
import type { OpenSubject, Subject } from "./subject.ts";

const SUBJECTS: Record<string, OpenSubject> = {
  "mira": (url) => openOurs(url, "llm"),
  "mira alone": (url) => openOurs(url, "llm", false),
  "mira tools": (url) => openOurs(url, "tool"),
  "mira http": openOursHttp,
  "langgraph": (url) => openLanggraph(url, "sync"),
  "langgraph exit": (url) => openLanggraph(url, "exit"),
  "dbos": openDbos,
  "openworkflow": openOpenworkflow,
  "mastra": openMastra,
  "pgflow": openPgflow,
};

/** Opens one of them on its database. */
export async function openSubject(name: string, url: string): Promise<Subject> {
  const open = SUBJECTS[name];
  if (open === undefined) throw new Error(`no engine goes by the name "${name}"`);
  return await open(url);
}
