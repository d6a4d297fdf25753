/** RFC 9457 problem details: the one shape of every error that leaves a function. */

/** What is wrong with one part of the input. */
export interface ProblemField {
  /** JSON pointer (RFC 6901) into the body, or `?name` for a query parameter. */
  pointer: string;
  /** Stable snake_case code of the rule that was broken. */
  code: string;
  /** A sentence that names the rule, never the value. */
  detail: string;
}

/** Body of an `application/problem+json` answer. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  instance: string;
  errors?: ProblemField[];
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  424: "Failed Dependency",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/**
 * An error that a caller may see.
 *
 * `code` is stable and machine-readable, `detail` a sentence for people. Neither ever holds SQL, a
 * stack, a secret or the offending value; what the operator needs goes into `cause`, which is only
 * logged.
 *
 * @example
 * ```ts
 * throw new Problem(404, "run_not_found", "There is no run with this id.");
 * ```
 */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: ProblemField[] | undefined;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    code: string,
    detail: string,
    options: { errors?: ProblemField[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }

  /** The problem as a body; `requestId` becomes its `instance`. */
  toBody(requestId: string): ProblemBody {
    return {
      type: `urn:mira:problem:${this.code}`,
      title: TITLES[this.status] ?? "Error",
      status: this.status,
      detail: this.message,
      code: this.code,
      instance: `urn:mira:request:${requestId}`,
      ...(this.errors ? { errors: this.errors } : {}),
    };
  }

  /** The problem as an HTTP response. */
  toResponse(requestId: string): Response {
    return new Response(JSON.stringify(this.toBody(requestId)), {
      status: this.status,
      headers: {
        "content-type": "application/problem+json",
        "x-request-id": requestId,
        ...this.headers,
      },
    });
  }
}
