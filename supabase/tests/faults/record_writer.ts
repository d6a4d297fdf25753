/**
 * An agent that logs a task in batches and may die at any moment: it knows from a file how far its
 * receipts reach, and sends from there on again, with the same ids.
 *
 * Arguments: url, publishable key, JWT, task id, number of batches, progress file, and the pause
 * between batches in ms.
 */

const [url, key, jwt, task, batches, progress, rest] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
  string,
  string,
];
const BATCH = 200;

let next = Number(await Deno.readTextFile(progress).catch(() => "0"));
while (next < Number(batches)) {
  const logs = Array.from({ length: BATCH }, (_, i) => ({
    id: `00000000-0000-4000-8000-${String(next * BATCH + i).padStart(12, "0")}`,
    task_id: task,
    agent_type: "worker",
    message: String(next * BATCH + i),
  }));
  try {
    const response = await fetch(`${url}/functions/v1/log-execution`, {
      method: "POST",
      headers: { apikey: key, authorization: `Bearer ${jwt}`, "content-type": "application/json" },
      body: JSON.stringify({ logs }),
      signal: AbortSignal.timeout(10_000),
    });
    const answer = await response.text();
    if (response.status === 201) await Deno.writeTextFile(progress, String(++next));
    else if (response.status < 500 && response.status !== 429) throw new TypeError(answer);
  } catch (error) {
    if (error instanceof TypeError && /"status":4/.test(error.message)) throw error;
  }
  await new Promise((resolve) => setTimeout(resolve, Number(rest)));
}
