import { html } from "./vendor/ui.js";
import { Head, Loaded, rows, useLoad } from "./parts.js";
import { Bars, DayColumns, lastDays, localDay } from "./plots.js";

/** How much, how often, how well: your last 30 days. */
export function Statistics({ supabase, mira }) {
  const all = useLoad(
    async () => {
      const count = async (table) => {
        const { count, error } = await supabase.from(table).select("*", {
          count: "exact",
          head: true,
        });
        if (error) throw error;
        return count;
      };
      const [statistics, events, learned, workflows, latest] = await Promise.all([
        mira.logs.statistics({ period: "day" }),
        count("mira_behavioral_events"),
        count("mira_learned_patterns"),
        count("mira_workflows"),
        rows(
          supabase.from("mira_behavioral_events").select("occurred_at, event_type, page").order(
            "ingest_seq",
            { ascending: false },
          ).limit(1000),
        ),
      ]);
      return { statistics, events, learned, workflows, latest };
    },
    [],
    15_000,
  );
  return html`
    <${Head} title="Statistics" lead="Yours alone, over the last 30 days." />
    <${Loaded} of=${all}>${(
      { statistics: { tasks, tools, logs }, events, learned, workflows, latest },
    ) => {
      const sum = (list, key) => list.reduce((total, row) => total + Number(row[key] ?? 0), 0);
      const ended = sum(tasks, "completed") + sum(tasks, "failed");
      const success = ended ? `${Math.round(sum(tasks, "completed") / ended * 100)} %` : "–";
      const slowest = Math.max(0, ...tasks.map((row) => Number(row.p95_duration_ms ?? 0)));
      return html`
        <div class="figures">
          <${Figure} value=${events} name="events" />
          <${Figure} value=${learned} name="patterns learned" />
          <${Figure} value=${workflows} name="workflows" />
          <${Figure} value=${sum(tasks, "total")} name="tasks" />
          <${Figure} value=${success} name="of tasks succeed" />
          <${Figure} value=${slowest ? `${Math.round(slowest)} ms` : "–"} name="slowest day, p95" />
        </div>
        <div class="plots">
          <${DayColumns} title="Events, of your latest 1,000" unit="events" days=${perDay(
            latest,
          )} />
          <${DayColumns} title="Tasks" unit="tasks" days=${taskDays(tasks)} />
          <${Bars} title="What you do" rows=${counted(latest, "event_type")} />
          <${Bars} title="Where you are" rows=${counted(
            latest.map(({ page }) => ({
              page: page.replace(/\/[\da-f-]*\d[\da-f-]*(?=\/|$)/gi, "/:id"),
            })),
            "page",
          )} />
          <${Bars} title="Tools" rows=${joined(tools, "tool_name")} />
          <${Bars} title="Log lines by agent" rows=${joined(logs, "agent_type")} />
        </div>
      `;
    }}<//>
  `;
}

const Figure = ({ value, name }) =>
  html`<div class="card figure"><b>${
    value?.toLocaleString?.() ?? value
  }</b><span class="muted small">${name}</span></div>`;

function perDay(events) {
  const counts = Map.groupBy(events, (event) => localDay(event.occurred_at));
  return lastDays(30).map((day) => ({ day, value: counts.get(day)?.length ?? 0 }));
}

function taskDays(tasks) {
  const byDay = new Map(tasks.map((row) => [localDay(row.period_start), row]));
  return lastDays(30).map((day) => ({
    day,
    value: Number(byDay.get(day)?.total ?? 0),
    part: Number(byDay.get(day)?.failed ?? 0),
  }));
}

function counted(events, key) {
  return [...Map.groupBy(events, (event) => event[key])].map(([name, list]) => ({
    name,
    value: list.length,
  }));
}

function joined(list, key) {
  return [...Map.groupBy(list, (row) => row[key])].map(([name, days]) => ({
    name,
    value: days.reduce((total, row) => total + Number(row.total), 0),
  }));
}
