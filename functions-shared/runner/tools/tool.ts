/**
 * What a tool is to the runner.
 *
 * @module
 */
import type { Secret, SecretRequest } from "../../vault/open_secret.ts";
import type { Admin, AgentMessage, LogLine, ToolGrant } from "../engine.ts";

/** A row of `mira_tool_definitions`: a capability that the operator gave the server. */
export interface ToolDefinition {
  name: string;
  description: string | null;
  /** JSON Schema of the arguments */
  schema: Record<string, unknown>;
  /** `internal:<name>`, `function:<slug>`, `rpc:<sql function>` or an https address */
  function_path: string;
  is_enabled: boolean;
  /** calling it changes nothing outside the run */
  is_read_only: boolean;
  /** how the handler is called; never from a workflow or a model */
  options: Record<string, unknown>;
}

/** What the runner works with. */
export interface RunnerHost {
  admin: Admin;
  /** reads one environment variable */
  read(name: string): string | undefined;
  /** opens a user's credential for one purpose, audited; undefined when they have stored none */
  openSecret(ask: SecretRequest): Promise<Secret | undefined>;
  /** takes the cause of an unexpected failure, for the server's log */
  unknown(cause: unknown): void;
}

/** On whose behalf and for which step a tool is called. */
export interface ToolContext extends RunnerHost {
  userId: string;
  runId: string;
  workflowId: string | null;
  threadId: string | null;
  node: string;
  /** idempotency key of this call; every side effect carries it */
  key: string;
  signal: AbortSignal;
  /** which tools with side effects may be called; absent means all that the graph names */
  grants?: ToolGrant[];
  /** what persons said to calls of this step, by key; absent where nobody can be asked */
  confirmed?: Record<string, boolean>;
  /** what the call leaves in the run's record */
  logs: LogLine[];
  messages: AgentMessage[];
}

/** Does the work of a tool. The arguments have passed the tool's schema. */
export type ToolHandler = (
  args: Record<string, unknown>,
  context: ToolContext,
  definition: ToolDefinition,
) => Promise<unknown>;

/** A tool that failed. The message is recorded and shown, so it holds no secret. */
export class ToolError extends Error {
  override readonly name = "ToolError";
  constructor(
    readonly code: string,
    message: string,
    readonly options: { retryable?: boolean; retryAfterMs?: number; issues?: unknown } = {},
  ) {
    super(message);
  }
}
