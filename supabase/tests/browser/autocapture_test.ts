import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest, launchChromium } from "../support/browser.ts";

const ORIGIN = "http://app.test";
const MIRA = await Deno.readTextFile(
  new URL("../../../scripts/console/vendor/mira.js", import.meta.url),
);

interface Seen {
  event_type: string;
  target?: string;
  module: string;
  page: string;
  // deno-lint-ignore no-explicit-any
  payload: any;
}

/**
 * A page with `body` at http://app.test/crm/start and the client running in it, on a clock that the
 * test moves. `seen` is everything that reached the server.
 */
async function withPage(
  body: string,
  use: (page: Page, seen: Seen[], think: (ms: number) => Promise<void>) => Promise<void>,
  options: { options?: string; before?: string } = {},
): Promise<void> {
  const context = await (await launchChromium()).newContext();
  try {
    const page = await context.newPage();
    const seen: Seen[] = [];
    await page.route(`${ORIGIN}/**`, async (route) => {
      const url = new URL(route.request().url());
      if (url.pathname === "/functions/v1/track-event") {
        const { events } = route.request().postDataJSON();
        seen.push(...events);
        return await route.fulfill({
          json: { accepted: events.length, duplicates: 0, rejected: [] },
        });
      }
      if (url.pathname === "/mira.js") {
        return await route.fulfill({ body: MIRA, contentType: "text/javascript" });
      }
      await route.fulfill({
        contentType: "text/html",
        body: pageWith(body, options.options ?? "{}"),
      });
    });
    if (options.before) await page.addInitScript(options.before);
    await page.clock.install({ time: Date.UTC(2026, 5, 1, 9) });
    await page.clock.pauseAt(Date.UTC(2026, 5, 1, 9, 1));
    await page.goto(`${ORIGIN}/crm/start?secret=1`);
    await page.waitForFunction(() => "mira" in globalThis);
    const think = async (ms: number) => {
      await page.clock.runFor(ms);
      await page.evaluate("mira.flush()");
    };
    await think(10);
    await use(page, seen, think);
  } finally {
    await context.close();
  }
}

function pageWith(body: string, options: string): string {
  return `<!doctype html><body>${body}<script type="module">
    import { createMira } from "/mira.js";
    const session = { access_token: "jwt", user: { id: "ana" } };
    globalThis.mira = createMira({ auth: {
      getSession: async () => ({ data: { session } }),
      onAuthStateChange(tell) {
        queueMicrotask(() => tell("INITIAL_SESSION", session));
        return { data: { subscription: { unsubscribe() {} } } };
      },
    } }, { url: "${ORIGIN}", key: "k", ...${options} });
  </script></body>`;
}

const of = (seen: Seen[], type: string) => seen.filter((event) => event.event_type === type);

browserTest(
  "navigation: a load, pushState, back and hash, each with where it came from and for how long",
  async () => {
    await withPage("<main></main>", async (page, seen, think) => {
      await page.evaluate("history.pushState(null, '', '/leads/7')");
      await think(5000);
      await page.goBack();
      await think(10);
      await page.evaluate("location.hash = '/board'");
      await think(10);
      const nav = of(seen, "navigation").map((
        { page, module, payload },
      ) => [page, module, payload.from]);
      assert.deepEqual(nav, [
        ["/crm/start", "crm", undefined],
        ["/leads/7", "leads", "/crm/start"],
        ["/crm/start", "crm", "/leads/7"],
        ["/board", "board", "/crm/start"],
      ]);
      assert.deepEqual(
        of(seen, "page_leave").map(({ page, payload }) => [page, payload.dwell_ms]).slice(0, 2),
        [
          ["/crm/start", 10],
          ["/leads/7", 5000],
        ],
      );
      assert.ok(!JSON.stringify(seen).includes("secret"), "query strings stay out");
    });
  },
);

browserTest(
  "a click that changes nothing for 2.5 s is dead; one that changes something, or a link, is not",
  async () => {
    const body =
      `<button id="dead">Save</button><button id="alive" onclick="setTimeout(() => this.title = 'x', 1500)">Go</button>
    <a href="#there" id="link">There</a><div id="plain" style="height:30px">text</div>`;
    await withPage(body, async (page, seen, think) => {
      for (const id of ["dead", "alive", "link", "plain"]) {
        await page.click(`#${id}`);
        await think(4000);
      }
      const clicks = of(seen, "click").map((
        { target, payload },
      ) => [target, payload.label, payload.dead]);
      assert.deepEqual(clicks, [
        ["#dead", "Save", true],
        ["#alive", "Go", undefined],
        ["#link", "There", undefined],
        ["#plain", undefined, true],
      ]);
      assert.equal(typeof of(seen, "click")[0]!.payload.x, "number");
    });
  },
);

browserTest(
  "a press that turns out to be a selection or a scroll says so and is not dead",
  async () => {
    await withPage(
      `<p id="p">some words to select</p><button id="s" onclick="setTimeout(() => window.scrollBy(0, 50), 50)">More</button><div style="height:3000px"></div>`,
      async (page, seen, think) => {
        await page.dblclick("#p");
        // the browser says so in its own time, which the page's clock does not move
        await page.waitForTimeout(300);
        await think(4000);
        await page.click("#s");
        await page.clock.runFor(60);
        await page.waitForFunction("scrollY > 0");
        await page.waitForTimeout(50);
        await think(4000);
        const clicks = of(seen, "click");
        assert.equal(clicks.at(-2)!.payload.selection, true);
        assert.equal(clicks.at(-1)!.payload.scroll, true);
        assert.ok(clicks.slice(-2).every(({ payload }) => payload.dead === undefined));
      },
    );
  },
);

browserTest(
  "a drag that selects is a selection, made before there is a click to tell",
  async () => {
    await withPage(`<p id="p">some words to select</p>`, async (page, seen, think) => {
      const { x, y } = (await page.locator("#p").boundingBox())!;
      await page.mouse.move(x + 2, y + 5);
      await page.mouse.down();
      await page.mouse.move(x + 60, y + 5);
      await page.waitForTimeout(300);
      assert.notEqual(await page.evaluate("String(getSelection())"), "");
      await page.mouse.up();
      await think(4000);
      const [click] = of(seen, "click");
      assert.equal(click!.payload.selection, true);
      assert.equal(click!.payload.dead, undefined);
      // the next press starts afresh
      await page.mouse.click(x + 300, y + 5);
      await think(4000);
      assert.equal(of(seen, "click")[1]!.payload.selection, undefined);
    });
  },
);

browserTest(
  "forms: field names and lengths, choices of selects, how a submit went, and what was left unfinished",
  async () => {
    const body =
      `<form name="lead" novalidate onsubmit="event.preventDefault(); this.phone.ariaInvalid = 'true'">
      <input name="name"><input name="phone"><select name="source"><option>web</option><option>fair</option></select>
      <input type="checkbox" name="vip"><button>Send</button></form>`;
    await withPage(body, async (page, seen, think) => {
      await page.fill("[name=name]", "Petra Vogel");
      await page.fill("[name=phone]", "0171 5550123");
      await page.press("[name=phone]", "Tab");
      await page.selectOption("[name=source]", "fair");
      await page.check("[name=vip]");
      await page.click("button");
      await think(3000);
      await page.evaluate("history.pushState(null, '', '/elsewhere')");
      await think(10);
      const changes = of(seen, "input").filter(({ payload }) => payload.changed);
      assert.deepEqual(changes.map(({ target, payload }) => [target, payload]), [
        ["lead.name", { field: "name", changed: true, length: 11 }],
        ["lead.phone", { field: "phone", changed: true, length: 12 }],
        ["lead.source", { field: "source", changed: true, control: "source", choice: "fair" }],
        ["lead.vip", { field: "vip", changed: true, control: "vip", choice: "on" }],
      ]);
      assert.deepEqual(of(seen, "form_submit").map(({ payload }) => payload), [{
        form: "lead",
        ok: false,
      }]);
      assert.equal(of(seen, "page_leave")[0]!.payload.abandoned, "lead");
      assert.ok(!/Petra|5550123/.test(JSON.stringify(seen)), "values stay out");
    });
  },
);

browserTest("a submit that the browser itself refuses is one form_submit that failed", async () => {
  await withPage(
    `<form name="f"><input name="a" required><input name="b" required><button>Go</button></form>`,
    async (page, seen, think) => {
      await page.click("button");
      await page.evaluate("document.forms[0].checkValidity()");
      await think(2000);
      assert.deepEqual(of(seen, "form_submit").map(({ payload }) => payload), [{
        form: "f",
        ok: false,
      }]);
    },
  );
});

browserTest("errors and rejections are reported without stacks, at most ten a minute", async () => {
  await withPage(`<button onclick="lead.name">Boom</button>`, async (page, seen, think) => {
    await page.click("button");
    // the browser tells of a rejection in a task of its own; the flood waits for it
    await page.evaluate(() =>
      new Promise<void>((told) => {
        addEventListener("unhandledrejection", () => told(), { once: true });
        void Promise.reject(new RangeError("over mail@example.com"));
      })
    );
    await page.evaluate(() => {
      for (let i = 0; i < 30; i++) dispatchEvent(new ErrorEvent("error", { message: "again" }));
    });
    await think(3000);
    const errors = of(seen, "error").map(({ payload }) => payload.message);
    assert.equal(errors.length, 10);
    assert.match(errors[0], /lead is not defined/);
    assert.equal(errors[1], "RangeError: over ***");
  });
});

browserTest(
  "what is marked ignore is not seen, what is marked mask has no words, digits and addresses are blanked",
  async () => {
    const body = `<div data-mira-ignore><button>Hidden</button><input name="pin"></div>
    <a href="#x" data-mira="row" data-mira-mask>Petra Vogel</a><button>Call +49 171 5550123 or a@b.de</button>
    <input type="password" name="pw">`;
    await withPage(body, async (page, seen, think) => {
      await page.click("text=Hidden");
      await page.fill("[name=pin]", "1234");
      await page.click("[data-mira=row]");
      await page.click("text=Call");
      await page.fill("[name=pw]", "hunter2");
      await page.press("[name=pw]", "Tab");
      await think(4000);
      assert.deepEqual(of(seen, "click").map(({ target, payload }) => [target, payload.label]), [
        ["row", undefined],
        ["button", "Call +*** or ***"],
      ]);
      assert.deepEqual(of(seen, "input").map(({ payload }) => payload), [{
        field: "pw",
        changed: true,
      }]);
    });
  },
);

browserTest(
  "targets: given names, stable ids, labels and paths; generated ids are not trusted",
  async () => {
    const body =
      `<main id="leads"><ul><li><span>A</span></li><li><span id="radix-12345">B</span></li></ul></main>
    <button aria-label="Close dialog"><svg width="9" height="9"><path d="M0 0h9v9z"/></svg></button>
    <button data-testid="save"><b>Save</b></button><div data-mira-module="billing"><button id="pay">Pay</button></div>`;
    await withPage(body, async (page, seen, think) => {
      for (const at of ["li:nth-child(2) span", "svg", "b", "#pay"]) await page.click(at);
      await think(4000);
      assert.deepEqual(of(seen, "click").map(({ target, module }) => [target, module]), [
        ["#leads>ul>li>span", "crm"],
        ["button[Close dialog]", "crm"],
        ["save", "crm"],
        ["#pay", "billing"],
      ]);
    });
  },
);

browserTest("Do-Not-Track and Global Privacy Control record nothing at all", async () => {
  for (
    const said of ["doNotTrack', { get: () => '1'", "globalPrivacyControl', { get: () => true"]
  ) {
    await withPage("<button>Go</button>", async (page, seen, think) => {
      await page.click("button");
      await think(4000);
      assert.deepEqual(seen, []);
      assert.equal(await page.evaluate("mira.track('x')"), false);
    }, { before: `Object.defineProperty(Navigator.prototype, '${said} })` });
  }
});
