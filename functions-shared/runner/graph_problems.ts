/**
 * What is wrong with a graph, as the answer to the request that brought it.
 *
 * @module
 */
import { Problem } from "../http/problem.ts";

interface GraphProblem {
  code: string;
  severity: string;
  node?: string;
  detail: string;
}

/**
 * The engine tells problems of a graph as JSON in the detail of `workflow_invalid`; a person gets a
 * sentence and one entry per problem that points at the node.
 *
 * @param names the nodes' names in the order of the request, when the graph came with it
 */
export function tellGraphProblems(error: unknown, names: string[] = []): unknown {
  if (!(error instanceof Problem) || error.code !== "workflow_invalid") return error;
  let problems: GraphProblem[];
  try {
    problems = (JSON.parse(error.message) as GraphProblem[]).filter((p) => p.severity === "error");
  } catch {
    return error;
  }
  const first = problems[0];
  const where = first?.node ? `"${first.node}": ` : "";
  const others = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  return new Problem(error.status, error.code, `${where}${first?.detail ?? ""}${others}`, {
    errors: problems.map(({ node, code, detail }) => {
      const index = names.indexOf(node ?? "");
      const pointer = names.length === 0
        ? "/workflow_id"
        : index < 0
        ? "/workflow"
        : `/workflow/nodes/${index}`;
      return { pointer, code, detail: node ? `${node}: ${detail}` : detail };
    }),
  });
}
