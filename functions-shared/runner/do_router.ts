/**
 * Router nodes that let a model choose among the labels of the graph.
 *
 * @module
 */
import { doLlm } from "./do_llm.ts";
import type { Outcome } from "./engine.ts";
import type { Work } from "./work.ts";

/**
 * Asks for one of the node's `labels`. The schema allows nothing else, so whatever the text that is
 * judged says, the run goes along an edge that the graph has.
 */
export async function doRouter(work: Work): Promise<Outcome> {
  const { config } = work.task.node;
  const labels = config["labels"] as string[];
  const task = {
    ...work.task,
    node: {
      ...work.task.node,
      config: {
        max_tokens: 64,
        temperature: 0,
        ...config,
        response_schema: {
          type: "object",
          properties: { label: { enum: labels } },
          required: ["label"],
          additionalProperties: false,
        },
      },
    },
  };
  const outcome = await doLlm({ ...work, task });
  const { error, ...rest } = outcome;
  if (!error) return { ...outcome, output: (outcome.output as { label: string }).label };
  // a model that cannot or will not decide leaves the decision to the graph
  const isUndecided = error.code === "llm_output_invalid" || error.code === "llm_declined";
  if (!isUndecided || typeof config["default"] !== "string") return outcome;
  return {
    ...rest,
    output: config["default"],
    logs: [{ level: "warning", message: `No usable label: took "${config["default"]}".` }],
  };
}
