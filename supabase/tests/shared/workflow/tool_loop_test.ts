import assert from "node:assert/strict";
import {
  type Conversation,
  type ConversationRecord,
  nextMove,
} from "../../../../functions-shared/workflow/tool_loop.ts";

const plan: Conversation = {
  opening: [{ role: "user", content: "How warm is it?" }],
  tools: {
    weather: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
  max_rounds: 2,
  max_repairs: 1,
};

const asks = (...calls: [string, string][]): ConversationRecord => ({
  kind: "model",
  reply: {
    content: "",
    finish: "tool_calls",
    tool_calls: calls.map(([name, args], i) => ({ id: `c${i}`, name, arguments: args })),
  },
});
const says = (content: string, finish = "stop"): ConversationRecord => ({
  kind: "model",
  reply: { content, tool_calls: [], finish },
});

Deno.test("a conversation asks, calls, asks again and finishes", () => {
  assert.equal(nextMove(plan, []).do, "ask");
  const first = asks(["weather", '{"city":"Oslo"}']);
  assert.deepEqual(nextMove(plan, [first]), {
    do: "call",
    calls: [{ key: "0.0", name: "weather", args: { city: "Oslo" } }],
    refused: [],
  });
  const result: ConversationRecord = { kind: "tool", key: "0.0", result: { celsius: 4 } };
  const again = nextMove(plan, [first, result]);
  assert.ok(again.do === "ask");
  assert.deepEqual(again.messages.at(-1), {
    role: "tool",
    tool_call_id: "c0",
    content: '{"data":{"celsius":4}}',
  });
  const end = nextMove(plan, [first, result, says("4 degrees")]);
  assert.ok(end.do === "finish");
  assert.equal(end.answer, "4 degrees");
});

Deno.test("after a crash between two results only the missing call is made", () => {
  const both = asks(["weather", '{"city":"Oslo"}'], ["weather", '{"city":"Rome"}']);
  const move = nextMove(plan, [both, { kind: "tool", key: "0.0", result: 1 }]);
  assert.ok(move.do === "call");
  assert.deepEqual(move.calls.map(({ key, args }) => [key, args]), [["0.1", { city: "Rome" }]]);
});

Deno.test("a tool the node does not grant and arguments that do not fit are answered, not called", () => {
  const move = nextMove(plan, [asks(
    ["delete_everything", "{}"],
    ["weather", '{"city":7}'],
    ["weather", "not json"],
    ["constructor", "{}"],
    ["weather", '{"city":"Oslo","url":"http://evil"}'],
  )]);
  assert.ok(move.do === "call");
  assert.deepEqual(move.calls, []);
  assert.deepEqual(
    move.refused.map(({ result }) => (result as { error: string }).error),
    [
      "tool_not_allowed",
      "arguments_invalid",
      "arguments_invalid",
      "tool_not_allowed",
      "arguments_invalid",
    ],
  );
});

Deno.test("asking for tools without end stops at the cap", () => {
  const records: ConversationRecord[] = [];
  for (let i = 0; i < 3; i++) {
    records.push(asks(["weather", '{"city":"Oslo"}']));
    if (i < 2) records.push({ kind: "tool", key: `${i}.0`, result: 1 });
  }
  const move = nextMove(plan, records);
  assert.equal(move.do === "fail" && move.code, "llm_too_many_rounds");
});

const formed: Conversation = {
  ...plan,
  tools: {},
  answer: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] },
};

Deno.test("an answer with a form is read out of prose and fences", () => {
  for (const text of ['{"n":1}', 'Sure!\n```json\n{"n":1}\n```', 'The answer is {"n":1}. Bye']) {
    const move = nextMove(formed, [says(text)]);
    assert.deepEqual(move.do === "finish" && move.answer, { n: 1 }, text);
  }
});

Deno.test("an answer of the wrong form is sent back once with what is wrong, then given up", () => {
  const repair = nextMove(formed, [says('{"n":"one"}')]);
  assert.ok(repair.do === "ask");
  assert.match(String(repair.messages.at(-1)?.content), /\/n: Expected integer, found string/);
  const cut = nextMove(formed, [says('{"n":', "length")]);
  assert.ok(cut.do === "ask");
  assert.match(String(cut.messages.at(-1)?.content), /cut off/);
  const over = nextMove(formed, [says("no"), says("still no")]);
  assert.equal(over.do === "fail" && over.code, "llm_output_invalid");
});

Deno.test("a huge tool result is shortened and stays an envelope of JSON", () => {
  const records = [
    asks(["weather", '{"city":"Oslo"}']),
    { kind: "tool", key: "0.0", result: "x".repeat(100_000) } as const,
  ];
  const move = nextMove(plan, records);
  assert.ok(move.do === "ask");
  const content = JSON.parse(String(move.messages.at(-1)?.content));
  assert.equal(content.truncated, true);
  assert.ok(content.data.length < 17_000);
});

Deno.test("a refusal ends the conversation: it is no answer, and asking again is only paid for", () => {
  const reply = { content: "", tool_calls: [], finish: "stop", refusal: "I will not." };
  const move = nextMove({ ...plan, answer: { type: "object" } }, [{ kind: "model", reply }]);
  assert.deepEqual(move, {
    do: "fail",
    code: "llm_declined",
    detail: "The model refused to answer: I will not.",
  });
  assert.deepEqual(nextMove(plan, [says("", "content_filter")]), {
    do: "fail",
    code: "llm_declined",
    detail: "The model service's content filter held the answer back.",
  });
});
