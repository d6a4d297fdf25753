/**
 * The conversation of an llm node, as a state machine without any I/O.
 *
 * What has happened is a list of records: answers of the model and results of tools. From the
 * opening messages and the records, {@link nextMove} says what to do next. Each record is saved
 * before the next move is asked for, so a run that is taken up again replays the records, asks for
 * the same move and pays for nothing twice.
 *
 * @module
 */
import { type ChatMessage, type ModelReply, toolMessage } from "./chat_messages.ts";
import { type JsonSchema, type SchemaIssue, validate } from "./json_schema.ts";
import { readJson } from "./read_json.ts";

/** The fixed part of the conversation, taken from the node. */
export interface Conversation {
  opening: ChatMessage[];
  /** the argument schema of every tool the node grants, by name */
  tools: Record<string, JsonSchema>;
  /** what the answer must be; absent means text */
  answer?: JsonSchema;
  /** most answers of the model that may ask for tools */
  max_rounds: number;
  /** most answers that may be refused for their form */
  max_repairs: number;
}

/** Something that happened. `key` of a tool record is `<model answer>.<call>`, both from 0. */
export type ConversationRecord =
  | { kind: "model"; reply: ModelReply }
  | { kind: "tool"; key: string; result: unknown };

/** A call that may be made: the node grants the tool and the arguments fit its schema. */
export interface PlannedCall {
  key: string;
  name: string;
  args: Record<string, unknown>;
}

/** What to do next. `refused` calls are recorded with their result, and nothing is executed. */
export type Move =
  | { do: "ask"; messages: ChatMessage[] }
  | { do: "call"; calls: PlannedCall[]; refused: { key: string; name: string; result: unknown }[] }
  | { do: "finish"; answer: unknown; messages: ChatMessage[] }
  | { do: "fail"; code: string; detail: string };

/** The next move of a conversation. Pure: the same records always give the same move. */
export function nextMove(plan: Conversation, records: ConversationRecord[]): Move {
  const results = new Map<string, unknown>();
  for (const record of records) if (record.kind === "tool") results.set(record.key, record.result);
  const replies = records.flatMap((record) => record.kind === "model" ? [record.reply] : []);
  const messages = [...plan.opening];
  let rounds = 0, repairs = 0;

  for (const [number, reply] of replies.entries()) {
    const calls = reply.tool_calls;
    messages.push({
      role: "assistant",
      content: reply.content,
      ...(calls.length ? { tool_calls: calls } : {}),
    });
    if (calls.length > 0) {
      if (++rounds > plan.max_rounds) {
        return fail(
          "llm_too_many_rounds",
          `The model asked for tools more than ${plan.max_rounds} times.`,
        );
      }
      const open = calls.map((call, i) => ({ call, key: `${number}.${i}` }))
        .filter(({ key }) => !results.has(key));
      if (open.length > 0) return plannedCalls(plan, open);
      calls.forEach((call, i) =>
        messages.push(toolMessage(call.id, results.get(`${number}.${i}`)))
      );
      continue;
    }
    const no = refusalOf(reply);
    if (no !== undefined) return fail("llm_declined", no);
    const { value, complaint } = readAnswer(plan, reply);
    if (complaint === undefined) return { do: "finish", answer: value, messages };
    if (++repairs > plan.max_repairs) {
      return fail("llm_output_invalid", `The model's answer stayed unusable: ${complaint}`);
    }
    messages.push({
      role: "user",
      content: `That answer cannot be used. ${complaint} Answer again with the JSON value only.`,
    });
  }
  return { do: "ask", messages };
}

/** An answer that is none: asking again for its form would only be paid for. */
function refusalOf({ refusal, content, finish }: ModelReply): string | undefined {
  if (refusal !== undefined) return `The model refused to answer: ${refusal.slice(0, 500)}`;
  return finish === "content_filter" && content === ""
    ? "The model service's content filter held the answer back."
    : undefined;
}

function fail(code: string, detail: string): Move {
  return { do: "fail", code, detail };
}

function plannedCalls(
  plan: Conversation,
  open: { call: { name: string; arguments: string }; key: string }[],
): Move {
  const calls: PlannedCall[] = [];
  const refused: { key: string; name: string; result: unknown }[] = [];
  for (const { call, key } of open) {
    const refuse = (error: string, detail: string, issues?: SchemaIssue[]) =>
      refused.push({
        key,
        name: call.name,
        result: { error, detail, ...(issues ? { issues } : {}) },
      });
    const schema = Object.hasOwn(plan.tools, call.name) ? plan.tools[call.name] : undefined;
    if (schema === undefined) {
      refuse("tool_not_allowed", "This node does not grant that tool.");
      continue;
    }
    const args = readJson(call.arguments.trim() === "" ? "{}" : call.arguments);
    if (typeof args !== "object" || args === null || Array.isArray(args)) {
      refuse("arguments_invalid", "The arguments are not a JSON object.");
      continue;
    }
    const issues = validate(schema, args);
    if (issues.length > 0) {
      refuse("arguments_invalid", "The arguments do not fit the schema.", issues);
    } else calls.push({ key, name: call.name, args: args as Record<string, unknown> });
  }
  return { do: "call", calls, refused };
}

function readAnswer(
  plan: Conversation,
  reply: ModelReply,
): { value?: unknown; complaint?: string } {
  if (plan.answer === undefined) return { value: reply.content };
  const value = readJson(reply.content);
  if (value === undefined) {
    return {
      complaint: reply.finish === "length"
        ? "It was cut off before the JSON ended; be shorter."
        : "It is not JSON.",
    };
  }
  const issues = validate(plan.answer, value);
  return issues.length === 0 ? { value } : {
    complaint: issues.slice(0, 5).map((i) => `${i.pointer || "/"}: ${i.detail}`).join(" "),
  };
}
