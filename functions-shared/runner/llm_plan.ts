/**
 * An llm node, read: whom to ask, what, and within which limits.
 *
 * @module
 */
import {
  type ChatEndpoint,
  environmentEndpoint,
  isConfigured,
  notConfigured,
  providerEndpoint,
} from "../ai/chat_endpoint.ts";
import { Problem } from "../http/problem.ts";
import { type ChatMessage, DATA_RULE, type ToolOffer } from "../workflow/chat_messages.ts";
import { assertSchema, type JsonSchema } from "../workflow/json_schema.ts";
import { render, renderText } from "../workflow/template.ts";
import type { Conversation } from "../workflow/tool_loop.ts";
import { scopeOf } from "./scope.ts";
import { leaveFor } from "./tools/may_call.ts";
import { findTool } from "./tools/registry.ts";
import { ToolError } from "./tools/tool.ts";
import { numberSetting, textSetting, type Work } from "./work.ts";

/** Everything an llm node says. */
export interface LlmPlan {
  conversation: Conversation;
  offers: ToolOffer[];
  temperature?: number;
  /** most tokens of one answer */
  maxTokens: number;
  agent: string;
}

/**
 * Reads the node's configuration: `system`, `prompt`, `messages`, `tools`, `response_schema`,
 * `temperature`, `max_tokens`, `max_calls`, `max_repairs`, `agent_name`.
 *
 * @throws {TemplateError} | {SchemaError} | {Problem} `config_invalid` | {ToolError} `tool_not_found`
 */
export async function readLlmPlan(work: Work): Promise<LlmPlan> {
  const { config, name } = work.task.node;
  const scope = scopeOf(work.task, work.item);
  const offers = await readOffers(work);
  const system = textSetting(config, "system");
  const prompt = textSetting(config, "prompt");
  const opening: ChatMessage[] = [];
  const rule = offers.length > 0 ? DATA_RULE : undefined;
  const instructions = [system && renderText(system, scope), rule].filter(Boolean).join("\n\n");
  if (instructions) opening.push({ role: "system", content: instructions });
  if (config["messages"] !== undefined) {
    opening.push(...history(render(config["messages"], scope)));
  }
  if (prompt !== undefined) opening.push({ role: "user", content: renderText(prompt, scope) });
  if (!opening.some((message) => message.role === "user")) {
    throw new Problem(
      422,
      "config_invalid",
      "An llm node needs a prompt, or messages from the user.",
    );
  }
  const answer = (config["response_schema"] ?? undefined) as JsonSchema | undefined;
  // before anybody is asked and paid
  if (answer !== undefined) assertSchema(answer);
  const temperature = numberSetting(config, "temperature", 0, 2);
  return {
    conversation: {
      opening: answer === undefined ? opening : withForm(opening, answer),
      tools: Object.fromEntries(offers.map((offer) => [offer.name, offer.parameters])),
      ...(answer === undefined ? {} : { answer }),
      max_rounds: numberSetting(config, "max_calls", 0, 64) ?? 8,
      max_repairs: numberSetting(config, "max_repairs", 0, 8) ?? 2,
    },
    offers,
    ...(temperature === undefined ? {} : { temperature }),
    maxTokens: numberSetting(config, "max_tokens", 1, 1_000_000) ?? 1024,
    agent: textSetting(config, "agent_name") ?? name,
  };
}

/**
 * Whom to ask: the user's own key when the node names a `provider`, the environment otherwise.
 *
 * @throws {ChatError} `llm_not_configured`, `llm_provider_unknown`; {Problem} what the vault says
 */
export async function readEndpoint(work: Work): Promise<ChatEndpoint> {
  const { config } = work.task.node;
  const { read } = work.host;
  const model = textSetting(config, "model");
  const provider = textSetting(config, "provider");
  if (provider === undefined) return environmentEndpoint(read, model);
  const agentName = textSetting(config, "agent_name");
  const opened = await work.host.openSecret({
    userId: work.task.user_id,
    provider,
    ...(agentName === undefined ? {} : { agentName }),
    purpose: `llm:${work.task.node.name}`,
    runId: work.task.run_id,
  });
  if (opened) return providerEndpoint(provider, opened, model, read);
  // without a key of their own the operator's service answers, if there is one
  if (!isConfigured(read)) throw notConfigured(provider);
  return environmentEndpoint(read, model);
}

async function readOffers(work: Work): Promise<ToolOffer[]> {
  const names = work.task.node.config["tools"] ?? [];
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) {
    throw new Problem(422, "config_invalid", 'The node\'s "tools" must be a list of names.');
  }
  const offers = await Promise.all(names.map(async (name: string): Promise<ToolOffer[]> => {
    const tool = await findTool(work.host.admin, name);
    if (!tool) throw new ToolError("tool_not_found", `There is no enabled tool named "${name}".`);
    // what the run is not granted is not even offered
    if (leaveFor(tool, work.task.grants) === "refuse") return [];
    return [{ name, description: tool.description ?? name, parameters: tool.schema }];
  }));
  return offers.flat();
}

function history(value: unknown): ChatMessage[] {
  const fits = Array.isArray(value) &&
    value.every((entry) =>
      ["system", "user", "assistant"].includes(entry?.role) && typeof entry.content === "string"
    );
  if (!fits) {
    throw new Problem(422, "config_invalid", '"messages" must give a list of {role, content}.');
  }
  return value.map(({ role, content }) => ({ role, content }));
}

/** Says the form of the answer in words as well, for services that ignore `response_format`. */
function withForm(opening: ChatMessage[], schema: JsonSchema): ChatMessage[] {
  const words = `Answer with one JSON value that fits this JSON Schema, and nothing else:\n${
    JSON.stringify(schema)
  }`;
  const [first, ...rest] = opening;
  return first?.role === "system"
    ? [{ role: "system", content: `${first.content}\n\n${words}` }, ...rest]
    : [{ role: "system", content: words }, ...opening];
}
