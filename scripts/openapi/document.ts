import { z } from "zod";
import { type Mode, type Route, ROUTES } from "../../functions-shared/contracts/routes.ts";

const PURPOSE: Record<string, string> = {
  "track-event": "What people do in the app, exactly once.",
  "learn-patterns": "Struggles, preferences and habits, with evidence.",
  "find-patterns": "What worked before, by meaning.",
  "run-workflow": "Durable graphs of models, tools and people.",
  "upsert-tokens": "The vault: secrets go in, masks come out.",
  "log-execution": "What was done, line by line.",
};

const SECURITY: Record<Mode, Record<string, string[]>> = {
  user: { publishable: [], person: [] },
  secret: { secret: [] },
  cron: { secret: [] },
};

/** The whole API as an OpenAPI 3.1 document. Same contracts, same document. */
export function openApiDocument(): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  shared.clear();
  for (const [slug, routes] of Object.entries(ROUTES)) {
    for (const route of routes) {
      const path = `/${slug}${route.path === "/" ? "" : route.path}`.replace(/:(\w+)/g, "{$1}");
      (paths[path] ??= {})[route.verb] = operation(slug, route);
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Mira",
      version: "1",
      summary: "Observe, learn, recall, act, record: six edge functions on Supabase.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [
      { url: "http://127.0.0.1:54321/functions/v1", description: "deno task start" },
      {
        url: "https://{ref}.supabase.co/functions/v1",
        description: "a hosted project",
        variables: { ref: { default: "your-project-ref" } },
      },
    ],
    tags: Object.entries(PURPOSE).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: {
        publishable: { type: "apiKey", in: "header", name: "apikey" },
        person: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        secret: {
          type: "apiKey",
          in: "header",
          name: "apikey",
          description: "A secret key. Never in a browser.",
        },
      },
      schemas: {
        Problem: PROBLEM,
        ...Object.fromEntries([...shared.values()].map(({ name, schema }) => [name, schema])),
      },
      responses: {
        Problem: {
          description: "RFC 9457 problem. Codes: functions-shared/contracts/errors.gen.md",
          headers: {
            "x-request-id": { schema: { type: "string" } },
            "retry-after": { description: "Seconds, with 429.", schema: { type: "integer" } },
          },
          content: {
            "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
          },
        },
      },
    },
  };
}

const PROBLEM = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "instance"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "For people." },
    code: { type: "string", description: "For programs: stable snake_case." },
    instance: { type: "string" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["pointer", "code", "detail"],
        properties: {
          pointer: { type: "string", description: "JSON pointer, or ?name for a query parameter." },
          code: { type: "string" },
          detail: { type: "string" },
        },
      },
    },
  },
};

function operation(slug: string, route: Route): Record<string, unknown> {
  const name = route.path.split("/").filter((part) => part && !part.startsWith(":"));
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: name === "provider" ? { type: "string" } : { type: "string", format: "uuid" },
  }));
  const hasId = inPath.length > 0 ? ["one"] : [];
  return {
    tags: [slug],
    operationId: [route.verb, slug, ...name, ...hasId].join("_").replaceAll("-", "_"),
    summary: route.summary,
    security: uniqueBy(route.modes.map((mode) => SECURITY[mode])),
    ...parameters([...inPath, ...inQuery(route.query), ...headers(route)]),
    ...(route.body
      ? {
        requestBody: {
          required: true,
          content: { "application/json": { schema: schemaOf(route.body, "input") } },
        },
      }
      : {}),
    responses: { ...responses(route), default: { $ref: "#/components/responses/Problem" } },
  };
}

function responses(route: Route): Record<string, unknown> {
  const stream = { "text/event-stream": { schema: { type: "string" } } };
  const entries = Object.entries(route.answers).map(([status, answer]): [string, unknown] => {
    const content = answer === "text" ? { "text/plain": { schema: { type: "string" } } } : {
      "application/json": {
        schema: answer === "json" ? { type: "object" } : schemaOf(answer, "output"),
      },
    };
    const streamed = route.streams && status === "200" ? stream : {};
    return [status, {
      description: status === "202" ? "Still going on." : "Done.",
      content: { ...content, ...streamed },
    }];
  });
  if (entries.length === 0) {
    entries.push(["200", { description: "Events until the end.", content: stream }]);
  }
  return Object.fromEntries(entries);
}

function inQuery(query: z.ZodObject | undefined) {
  if (!query) return [];
  const schema = schemaOf(query, "input") as {
    properties: Record<string, { description?: string }>;
    required?: string[];
  };
  return Object.entries(schema.properties).map(([name, { description, ...one }]) => ({
    name,
    in: "query",
    required: schema.required?.includes(name) ?? false,
    ...(description ? { description } : {}),
    schema: one,
  }));
}

function headers(route: Route) {
  const text = { type: "string", maxLength: 255 };
  return [
    ...(route.isIdempotent
      ? [{ name: "Idempotency-Key", in: "header", required: false, schema: text }]
      : []),
    ...(route.streams
      ? [{ name: "Last-Event-ID", in: "header", required: false, schema: text }]
      : []),
  ];
}

function parameters(list: unknown[]): { parameters?: unknown[] } {
  return list.length > 0 ? { parameters: list } : {};
}

/** Definitions that schemas share (recursive JSON, mostly), hoisted to where `$ref` finds them. */
const shared = new Map<string, { name: string; schema: unknown }>();

function schemaOf(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _dialect, "~standard": _standard, $defs = {}, ...rest } = z.toJSONSchema(
    schema,
    {
      io,
      unrepresentable: "any",
      // the format says it; its regular expression is for machines that do not know formats
      override: ({ jsonSchema }) => {
        if (jsonSchema.format) delete jsonSchema.pattern;
      },
    },
  ) as Record<string, unknown>;
  let text = JSON.stringify(rest);
  for (const [name, definition] of Object.entries($defs as Record<string, unknown>)) {
    const own = JSON.stringify(`#/$defs/${name}`);
    const content = JSON.stringify(definition).replaceAll(own, '"#self"');
    const known = shared.get(content) ??
      { name: shared.size === 0 ? "Json" : `Shared${shared.size}`, schema: undefined };
    const ref = JSON.stringify(`#/components/schemas/${known.name}`);
    known.schema = JSON.parse(content.replaceAll('"#self"', ref));
    shared.set(content, known);
    text = text.replaceAll(own, ref);
  }
  return JSON.parse(text);
}

function uniqueBy<T>(list: T[]): T[] {
  return [...new Map(list.map((one) => [JSON.stringify(one), one])).values()];
}
