/**
 * The console as one person uses it, from sign-up to the log of a run. With MIRA_SCREENSHOTS set to
 * a folder, the main views are photographed on the way.
 */

import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import type { Page } from "playwright-core";
import { inLargeBatches, recordedBatches } from "../../../scripts/sample/replay.ts";
import { browserTest, launchChromium } from "../support/browser.ts";
import { startStack, type TestStack } from "../support/stack.ts";

const ANA = { email: "ana@example.com", password: "correct horse battery" };
const SHOTS = Deno.env.get("MIRA_SCREENSHOTS");

async function shoot(page: Page, name: string): Promise<void> {
  if (!SHOTS) return;
  await page.waitForTimeout(400);
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** Puts a month of Ana's recorded use behind the person who is signed in on `page`. */
async function remember(stack: TestStack, page: Page): Promise<void> {
  const jwt = await page.evaluate(() => {
    const [, session] = Object.entries(localStorage).find(([key]) => key.endsWith("-auth-token"))!;
    return JSON.parse(session).access_token;
  });
  for (const { user, events } of inLargeBatches(await recordedBatches(new Date()))) {
    if (user !== "ana") continue;
    const response = await stack.fetch("/functions/v1/track-event", {
      json: { events },
      headers: { authorization: `Bearer ${jwt}` },
    });
    assert.equal(response.status, 200, await response.text());
  }
}

/** A workflow with a question in it, as an author would store it through the Data API. */
async function approval(stack: TestStack): Promise<void> {
  const { data, error } = await stack.anon.auth.signInWithPassword(ANA);
  assert.ifError(error);
  const own = createClient(stack.url, stack.publishableKey, {
    accessToken: () => Promise.resolve(data.session!.access_token),
  });
  const insert = async (table: string, rows: object) => {
    const { data, error } = await own.from(table).insert(rows).select("id");
    assert.ifError(error);
    return data!.map((row) => row.id as string);
  };
  const [workflow_id] = await insert("mira_workflows", {
    name: "Approve a discount",
    description: "Asks a person before a price goes down.",
    input_schema: {
      type: "object",
      required: ["lead", "percent"],
      properties: { lead: { type: "string" }, percent: { type: "number" } },
    },
  });
  const node = (name: string, type: string, config: unknown = {}) => ({
    workflow_id,
    name,
    type,
    config,
  });
  const say = (message: string) => ({ tool: "log", arguments: { message } });
  const ids = await insert("mira_workflow_nodes", [
    node("begin", "start"),
    node("ask", "human", {
      prompt: "May {{lead}} have {{percent}} %?",
      schema: { type: "boolean" },
    }),
    node("decide", "router", {
      conditions: [{ label: "yes", when: "$.ask == true" }],
      default: "no",
    }),
    node("grant", "tool", say("granted {{percent}} % to {{lead}}")),
    node("refuse", "tool", say("refused {{percent}} % to {{lead}}")),
    node("finish", "end"),
  ]);
  const edge = (from: number, to: number, condition_label: string | null = null) => ({
    workflow_id,
    source_node_id: ids[from],
    target_node_id: ids[to],
    condition_label,
  });
  await insert("mira_workflow_edges", [
    edge(0, 1),
    edge(1, 2),
    edge(2, 3, "yes"),
    edge(2, 4, "no"),
    edge(3, 5),
    edge(4, 5),
  ]);
  const { error: refused } = await own.from("mira_workflows").update({ is_active: true }).eq(
    "id",
    workflow_id,
  );
  assert.ifError(refused);
}

browserTest(
  "sign up, use the app, see a habit, promote it, run it, answer it, read its log",
  async () => {
    const stack = await startStack();
    const context = await (await launchChromium()).newContext({
      viewport: { width: 1280, height: 800 },
    });
    const faults: string[] = [];
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(30_000);
      page.on("pageerror", (error) => faults.push(error.message));

      await page.goto(`${stack.url}/console/`);
      await shoot(page, "sign-in");
      await page.fill("[name=email]", ANA.email);
      await page.fill("[name=password]", ANA.password);
      await page.click("text=Create account");
      await page.getByText("Nothing has happened yet").waitFor();

      // The same account is signed in at the sample app: what happens there appears here.
      const app = await context.newPage();
      app.on("pageerror", (error) => faults.push(error.message));
      await app.goto(`${stack.url}/sample/`);
      await app.click("[data-mira=new-lead]");
      await app.fill("[name=name]", "Petra Vogel");
      await app.click("[data-mira=save-lead]");
      await app.getByText("Invalid phone.").waitFor();
      await page.bringToFront();
      await page.getByText("Save lead").first().waitFor();
      await page.getByText("sent back").first().waitFor();
      assert.equal(await page.getByText("Petra").count(), 0);
      await shoot(page, "live");

      await remember(stack, page);
      await page.keyboard.press("2");
      await page.getByText("Nothing learned yet").waitFor();
      await page.click("text=Learn now");
      const habit = page.locator("[data-pattern=workflow_habit]").first();
      await habit.getByText("log-call").waitFor();
      assert.ok(await page.locator("[data-pattern=preference]").count() >= 2);
      await habit.getByText("Why").click();
      await habit.locator("li.small").first().waitFor();
      await shoot(page, "learned");
      await page.getByRole("button", { name: "Pin", exact: true }).first().click();
      await habit.getByText("pinned").waitFor();
      const preference = page.locator("[data-pattern=preference]").last();
      const before = await page.locator("[data-pattern=preference]").count();
      await preference.getByText("Dismiss").click();
      await page.waitForFunction(
        (count) => document.querySelectorAll("[data-pattern=preference]").length === count - 1,
        before,
      );

      await habit.getByText("Make it a workflow").click();
      await page.locator(".graph .node").first().waitFor();
      await shoot(page, "workflow");
      await page.click("text=Activate");
      await page.fill("form [name=choice]", "newest");
      await page.fill("form [name=page_6]", "/leads/21");
      await page.fill("form [name=label]", "Log call");
      await page.getByText("Start a run").click();
      await page.locator("[data-run-status=completed]").waitFor();
      await page.locator("[data-node=End][data-status=done]").waitFor();
      assert.ok(await page.locator(".graph [data-status=done]").count() >= 8);
      await shoot(page, "run");

      // what the schedule does every minute
      const embedded = await stack.fetch("/functions/v1/find-patterns/embed", {
        as: "cron",
        json: {},
      });
      assert.equal((await embedded.json()).state, "idle");
      await page.keyboard.press("3");
      await page.fill("[name=query]", "log a call with a lead");
      await page.fill("[name=threshold]", "0.1");
      await page.getByRole("button", { name: "Recall" }).click();
      const recalled = page.locator("article.pattern").first();
      await recalled.waitFor();
      await recalled.getByRole("button", { name: "Yes" }).click();
      await recalled.getByText("Noted: success").waitFor();
      await shoot(page, "recall");

      await approval(stack);
      await page.goto(`${stack.url}/console/#/workflows`);
      await page.getByText("Approve a discount").click();
      await page.fill("form [name=lead]", "Vogel & Sohn");
      await page.fill("form [name=percent]", "15");
      await page.waitForTimeout(4500); // lists reload meanwhile; what was typed stays
      await page.getByText("Start a run").click();
      await page.locator(".ask").getByText("May Vogel & Sohn have 15 %?").waitFor();
      await page.locator("[data-node=ask][data-status=waiting]").waitFor();
      await shoot(page, "human");
      await page.getByRole("button", { name: "Yes", exact: true }).click();
      await page.locator("[data-run-status=completed]").waitFor();
      await page.getByText("granted 15 % to Vogel & Sohn").first().waitFor();
      await page.locator("[data-node=grant][data-status=done]").waitFor();
      assert.equal(await page.locator("[data-node=refuse]").getAttribute("data-status"), "");
      await shoot(page, "answered");

      await page.keyboard.press("5");
      await page.locator("main li a").first().click();
      await page.locator(".logline").first().waitFor();
      await shoot(page, "log");

      await page.keyboard.press("6");
      await page.click("text=Add API key");
      await page.fill("[name=provider]", "openai");
      await page.fill("[name=key]", "sk-test-0123456789abcdefghijklmnop");
      await page.click("text=Store");
      await page.locator("td.mono").waitFor();
      assert.match(await page.locator("td.mono").innerText(), /^\*+mnop$/);
      assert.ok(!(await page.content()).includes("0123456789abcdef"));
      await shoot(page, "vault");

      await page.keyboard.press("7");
      await page.getByText("of tasks succeed").waitFor();
      await shoot(page, "statistics");
      assert.deepEqual(faults, []);
    } catch (error) {
      for (const page of context.pages()) {
        await shoot(page, `failed-${new URL(page.url()).pathname.split("/")[1]}`);
      }
      throw error;
    } finally {
      await context.close();
      await stack.close();
    }
  },
);

browserTest("every view fits 390 and 1280 px in light and in dark, and can be read", async () => {
  const stack = await startStack();
  try {
    const faults: string[] = [];
    for (
      const [width, height, colorScheme] of [[390, 844, "light"], [1280, 800, "dark"]] as const
    ) {
      const context = await (await launchChromium()).newContext({
        viewport: { width, height },
        colorScheme,
      });
      const page = await context.newPage();
      page.on("pageerror", (error) => faults.push(error.message));
      await page.goto(`${stack.url}/console/`);
      await page.fill("[name=email]", `${colorScheme}@example.com`);
      await page.fill("[name=password]", ANA.password);
      await page.click("text=Create account");
      await page.locator(".shell").waitFor();
      await remember(stack, page);
      await page.goto(`${stack.url}/console/#/learned`);
      await page.click("text=Learn now");
      await page.locator("[data-pattern]").first().waitFor();
      for (const view of ["live", "learned", "recall", "workflows", "log", "vault", "statistics"]) {
        await page.goto(`${stack.url}/console/#/${view}`);
        await page.locator("main h1").waitFor();
        await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${view} is ${wide} px wide at ${width}`);
        assert.deepEqual(await lowContrast(page), [], `${view} in ${colorScheme}`);
        await shoot(page, `${view}-${colorScheme}-${width}`);
      }
      await context.close();
    }
    assert.deepEqual(faults, []);
  } finally {
    await stack.close();
  }
});

/** Texts on the page whose contrast with what is behind them is under 4.5 to 1 (WCAG AA). */
function lowContrast(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
    const rgb = (color: string): number[] => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (color: number[]) =>
      color.slice(0, 3).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i]!, 0);
    const behind = (element: Element | null): number[] => {
      for (let at = element; at; at = at.parentElement) {
        const color = rgb(getComputedStyle(at).backgroundColor);
        if (color[3]! > 250) return color;
      }
      return [255, 255, 255];
    };
    const faint: string[] = [];
    for (const element of document.querySelectorAll("main *, nav *")) {
      const own = [...element.childNodes].some((node) =>
        node.nodeType === 3 && node.textContent!.trim()
      );
      if (!own || element.closest("svg, :disabled, .event.fresh") || !element.checkVisibility()) {
        continue;
      }
      const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) {
        faint.push(`${contrast.toFixed(2)} ${element.textContent!.trim().slice(0, 40)}`);
      }
    }
    return faint;
  });
}
