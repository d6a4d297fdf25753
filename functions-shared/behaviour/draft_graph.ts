/** A drafted procedure as the rows of a workflow: start, one tool node per step, end. */

import { type Draft, type Source, switchName } from "./draft_workflow.ts";
import { parseToken } from "./normalise.ts";

/** The tool that records an action for the app to carry out. */
export const ACTION_TOOL = "emit_action";

/** A node of the draft; `key` is its name within the draft. */
export interface GraphNode {
  key: string;
  type: "start" | "tool" | "router" | "end";
  name: string;
  config: Record<string, unknown>;
  x: number;
  y: number;
}

/** An edge of the draft. */
export interface GraphEdge {
  from: string;
  to: string;
  label?: string;
}

/** A step as data, also what a behaviour pattern stores. */
export interface GraphAction {
  /** The action as learned: what recall compares procedures by. */
  name: string;
  /** What to do: click, input, navigation, form_submit, custom. */
  action: string;
  module: string;
  page: string;
  target?: string;
  parameters: Record<string, unknown>;
  optional?: boolean;
}

/** The graph of a draft, and its actions as a plain list. */
export function draftGraph(
  draft: Draft,
): { nodes: GraphNode[]; edges: GraphEdge[]; actions: GraphAction[] } {
  const nodes: GraphNode[] = [
    { key: "start", type: "start", name: "Start", config: {}, x: 0, y: 0 },
  ];
  const edges: GraphEdge[] = [];
  const actions: GraphAction[] = [];
  /** Loose ends that lead to whatever comes next. */
  let open: Omit<GraphEdge, "to">[] = [{ from: "start" }];
  const join = (key: string) => {
    for (const end of open) edges.push({ ...end, to: key });
  };
  draft.steps.forEach((step, i) => {
    const { event_type, module, page, target } = parseToken(step.token);
    const key = stepKey(i);
    const what = plain(target || page);
    const action = {
      action: event_type,
      module,
      page: page.slice(0, 500),
      ...(target === "" ? {} : { target: target.slice(0, 500) }),
      parameters: Object.fromEntries(
        Object.entries(step.slots).map(([slot, source]) => [slot, template(source)]),
      ),
    };
    actions.push({
      name: step.token,
      ...action,
      ...(step.optional === undefined ? {} : { optional: true }),
    });
    const rest: typeof open = [];
    if (step.optional !== undefined) {
      const router = `choose_${i + 1}`;
      nodes.push({
        key: router,
        type: "router",
        name: `${i + 1} or not ${what}`,
        config: {
          conditions: [{ label: "do", when: `$.${switchName(i)} == true` }],
          default: "skip",
        },
        x: nodes.length * 220,
        y: 0,
      });
      join(router);
      open = [{ from: router, label: "do" }];
      rest.push({ from: router, label: "skip" });
    }
    nodes.push({
      key,
      type: "tool",
      name: `${i + 1} ${plain(event_type)} ${what}`,
      config: { tool: ACTION_TOOL, arguments: action, output_key: key },
      x: nodes.length * 220,
      y: step.optional === undefined ? 0 : 120,
    });
    join(key);
    open = [{ from: key }, ...rest];
  });
  nodes.push({ key: "end", type: "end", name: "End", config: {}, x: nodes.length * 220, y: 0 });
  join("end");
  return { nodes, edges, actions };
}

/** Node names may not hold what templates use. */
function plain(name: string): string {
  return name.replace(/[.{}[\]$\s]+/g, " ").trim().slice(0, 90);
}

function stepKey(i: number): string {
  return `step_${i + 1}`;
}

/** A constant as it is; a copy or an input as a template over the run's state. */
function template(source: Source): unknown {
  if (source.kind === "constant") {
    // a recorded text that looks like a template must stay the text it is
    return typeof source.value === "string" ? source.value.replaceAll("{{", "{ {") : source.value;
  }
  if (source.kind === "input") return `{{${source.name}}}`;
  return `{{${stepKey(source.step)}.parameters.${source.slot}}}`;
}
