/** The demo's graph: start → tool → router → tool → end, decided by a lead's score. */
export function leadWorkflow() {
  return {
    name: "Qualify a lead",
    nodes: [
      { type: "start", name: "start" },
      {
        type: "tool",
        name: "note",
        config: { tool: "log", arguments: { message: "Looking at {{lead}}, score {{score}}" } },
      },
      {
        type: "router",
        name: "worth a call",
        config: { conditions: [{ label: "hot", when: "$.score ? (@ >= 50)" }], default: "cold" },
      },
      {
        type: "tool",
        name: "call",
        config: { tool: "compose", arguments: { next: "call", who: "{{lead}}" } },
      },
      {
        type: "tool",
        name: "wait",
        config: { tool: "compose", arguments: { next: "newsletter", who: "{{lead}}" } },
      },
      { type: "end", name: "end" },
    ],
    edges: [
      { source: "start", target: "note" },
      { source: "note", target: "worth a call" },
      { source: "worth a call", target: "call", condition_label: "hot" },
      { source: "worth a call", target: "wait", condition_label: "cold" },
      { source: "call", target: "end" },
      { source: "wait", target: "end" },
    ],
  };
}
