/**
 * Tool nodes.
 *
 * @module
 */
import { Problem } from "../http/problem.ts";
import { render } from "../workflow/template.ts";
import type { AgentMessage, LogLine, Outcome } from "./engine.ts";
import { scopeOf } from "./scope.ts";
import { callTool } from "./tools/call_tool.ts";
import { textSetting, toolContext, type Work, workKey } from "./work.ts";

/** Renders the node's arguments, calls its tool and gives back the result. */
export async function doTool(work: Work): Promise<Outcome> {
  const { task } = work;
  const tool = textSetting(task.node.config, "tool");
  if (!tool) throw new Problem(422, "config_invalid", "A tool node names its tool.");
  const args = render(task.node.config["arguments"] ?? {}, scopeOf(task, work.item));
  const notes = { logs: [] as LogLine[], messages: [] as AgentMessage[] };
  const output = await callTool(tool, args, toolContext(work, workKey(work), notes));
  return {
    output,
    arguments: args,
    ...(notes.logs.length ? { logs: notes.logs } : {}),
    ...(notes.messages.length ? { messages: notes.messages } : {}),
  };
}
