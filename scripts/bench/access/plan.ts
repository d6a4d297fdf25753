import type { SqlExecutor } from "../../db/executor.ts";

/** What a plan did when it was run. */
export interface Plan {
  /** No table was read from end to end. */
  isByIndex: boolean;
  /** The most rows that any of its nodes read, those it threw away included. */
  mostRows: number;
  /** Questions that were answered once, before the rows. */
  initPlans: number;
}

interface Node {
  "Node Type": string;
  "Parent Relationship"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  "Rows Removed by Index Recheck"?: number;
  Plans?: Node[];
}

/** Runs a query and reads what its plan did. */
export async function readPlan(db: SqlExecutor, sql: string): Promise<Plan> {
  const [row] = await db.query(`explain (analyze, format json) ${sql}`);
  const said = row!["QUERY PLAN"] as string | [{ Plan: Node }];
  const [{ Plan: top }] = typeof said === "string" ? JSON.parse(said) : said;
  const plan: Plan = { isByIndex: true, mostRows: 0, initPlans: 0 };
  const walk = (node: Node) => {
    const rows = node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0) +
      (node["Rows Removed by Index Recheck"] ?? 0);
    plan.mostRows = Math.max(plan.mostRows, rows * node["Actual Loops"]);
    if (node["Node Type"] === "Seq Scan" && node["Actual Loops"] > 0) plan.isByIndex = false;
    if (node["Parent Relationship"] === "InitPlan" && node["Actual Loops"] <= 1) plan.initPlans++;
    node.Plans?.forEach(walk);
  };
  walk(top);
  return plan;
}
