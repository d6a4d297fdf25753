/** Routes of `run-workflow`. */

import * as run from "../run_workflow.ts";
import { PEOPLE, type Route } from "./route.ts";

const runs = { 200: run.RunView, 202: run.RunView };

/** Every route of the function, with its contract. */
export const RUN_WORKFLOW_ROUTES: Route[] = [
  {
    verb: "post",
    path: "/",
    summary: "Start a run and wait for it, or stream it",
    modes: PEOPLE,
    body: run.RunRequest,
    answers: runs,
    streams: true,
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/work",
    summary: "Advance due and abandoned runs",
    modes: ["cron", "secret"],
    body: run.WorkRequest,
    answers: { 200: run.WorkReport },
  },
  {
    verb: "post",
    path: "/workflows/validate",
    summary: "What is wrong with a graph",
    modes: PEOPLE,
    body: run.ValidateRequest,
    answers: { 200: "json" },
  },
  {
    verb: "get",
    path: "/workflows/:id/diagram",
    summary: "A workflow as Mermaid text",
    modes: PEOPLE,
    answers: { 200: "text" },
  },
  {
    verb: "get",
    path: "/:run_id/diagram",
    summary: "A run as Mermaid text, the path it took marked",
    modes: PEOPLE,
    answers: { 200: "text" },
  },
  {
    verb: "get",
    path: "/:run_id",
    summary: "A run as it stands, or its events",
    modes: PEOPLE,
    answers: runs,
    streams: true,
  },
  ...([
    ["resume", "Answer a waiting human step", run.ResumeRequest],
    ["signal", "Tell a run that something happened", run.SignalRequest],
    ["cancel", "Stop a run", run.CancelRequest],
    ["fork", "A new run that does a step again", run.ForkRequest],
  ] as const).map(([act, summary, body]): Route => ({
    verb: "post",
    path: `/:run_id/${act}`,
    summary,
    modes: PEOPLE,
    body,
    answers: runs,
    streams: true,
    isIdempotent: true,
  })),
];
