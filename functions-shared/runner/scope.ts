/**
 * What the templates of a node can see.
 *
 * @module
 */
import type { MapItem, Task } from "./engine.ts";

/** The state's keys at the root, with `input` and `run`, and `item` and `index` inside a map. */
export function scopeOf(task: Task, item?: MapItem): Record<string, unknown> {
  return {
    ...task.state,
    input: task.input,
    run: {
      id: task.run_id,
      user_id: task.user_id,
      workflow_id: task.workflow_id,
      thread_id: task.thread_id,
    },
    ...(item ? { item: item.value, index: item.idx } : {}),
  };
}
