/** Reads server-sent events as they arrive. */

/** One event of a stream. */
export interface ReadEvent {
  id: string | undefined;
  event: string;
  // deno-lint-ignore no-explicit-any
  data: any;
}

/** The events of a response; ends with the stream. Comments and `retry` lines are skipped. */
export async function* readEvents(response: Response): AsyncGenerator<ReadEvent> {
  let rest = "";
  for await (
    const text of response.body!.pipeThrough(
      new TextDecoderStream() as TransformStream<Uint8Array, string>,
    )
  ) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const fields = new Map<string, string>();
      for (const line of block.split("\n")) {
        const at = line.indexOf(":");
        if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1).trimStart());
      }
      const data = fields.get("data");
      if (data === undefined) continue;
      yield {
        id: fields.get("id"),
        event: fields.get("event") ?? "message",
        data: JSON.parse(data),
      };
    }
  }
}
