/** Filters of postgres_changes: `column=op.value`, as Supabase's Realtime reads them. */

/** One comparison. */
export interface RowFilter {
  column: string;
  op: "eq" | "neq" | "lt" | "lte" | "gt" | "gte" | "in";
  values: string[];
}

/** @throws {Error} when the text is no such filter. */
export function parseFilter(text: string): RowFilter {
  const parts = /^(\w+)=(eq|neq|lt|lte|gt|gte|in)\.(.*)$/s.exec(text);
  if (!parts) throw new Error(`not a filter: ${text.slice(0, 100)}`);
  const [, column, op, value] = parts as unknown as [string, string, RowFilter["op"], string];
  const values = op === "in"
    ? value.replace(/^\(|\)$/g, "").split(",").map((item) => item.trim().replace(/^"|"$/g, ""))
    : [value];
  return { column, op, values };
}

/** Whether the row passes; null passes nothing, as in SQL. Numbers compare as numbers. */
export function matchesFilter(row: Record<string, unknown>, filter: RowFilter): boolean {
  const value = row[filter.column];
  if (value === null || value === undefined) return false;
  const signs = filter.values.map((wanted) => compare(value, wanted));
  const [sign] = signs as [number];
  switch (filter.op) {
    case "eq":
      return sign === 0;
    case "neq":
      return sign !== 0;
    case "lt":
      return sign < 0;
    case "lte":
      return sign <= 0;
    case "gt":
      return sign > 0;
    case "gte":
      return sign >= 0;
    case "in":
      return signs.includes(0);
  }
}

function compare(value: unknown, wanted: string): number {
  if (typeof value === "number") return value - Number(wanted);
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text < wanted ? -1 : text > wanted ? 1 : 0;
}
