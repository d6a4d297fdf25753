import assert from "node:assert/strict";
import {
  render,
  renderText,
  TemplateError,
} from "../../../../functions-shared/workflow/template.ts";

const scope = {
  user: { name: "Ada", tags: ["a", "b"], "two-words": 1 },
  count: 3,
  none: null,
  trap: "{{user.name}}",
};

Deno.test("a template that is one placeholder keeps the value's type", () => {
  assert.equal(render("{{count}}", scope), 3);
  assert.deepEqual(render(" {{ user.tags }} ", scope), ["a", "b"]);
  assert.equal(render("{{none}}", scope), null);
  assert.deepEqual(render({ a: ["{{user.tags.1}}"], b: true }, scope), { a: ["b"], b: true });
});

Deno.test("inside text a string is put in as it is and anything else as JSON", () => {
  assert.equal(render("{{user.name}} has {{user.tags}} x{{count}}", scope), 'Ada has ["a","b"] x3');
  assert.equal(renderText("{{count}}", scope), "3");
  assert.equal(render("{{user.two-words}}!", scope), "1!");
});

Deno.test("a value that looks like a template stays data", () => {
  assert.equal(render("{{trap}}", scope), "{{user.name}}");
  assert.equal(render("<{{trap}}>", scope), "<{{user.name}}>");
});

Deno.test("a missing path names itself and what was there instead", () => {
  assert.throws(() => render("{{user.email}}", scope), (error: TemplateError) => {
    assert.equal(error.code, "template_path_missing");
    assert.equal(error.path, "user.email");
    assert.match(
      error.message,
      /"email" is missing from "user", which holds name, tags, two-words/,
    );
    return true;
  });
  assert.throws(() => render("{{user.tags.7}}", scope), /a list of 2/);
  assert.throws(() => render("{{count.x}}", scope), /"count", which holds a number/);
});

Deno.test("only own properties are looked up", () => {
  for (const path of ["constructor", "__proto__", "user.constructor.name"]) {
    assert.throws(() => render(`{{${path}}}`, scope), { code: "template_path_missing" }, path);
  }
});

Deno.test("a fallback stands in for a missing path only", () => {
  assert.equal(render('Hi {{nick ?? "you"}}', scope), "Hi you");
  assert.deepEqual(render("{{a.b ?? [1]}}", scope), [1]);
  assert.equal(render("{{none ?? 5}}", scope), null);
});

Deno.test("names may be of any script", () => {
  assert.equal(render("{{größe.überall}} {{名前}}", { größe: { überall: 1 }, 名前: "花" }), "1 花");
});

Deno.test("what is not a path or not JSON is refused", () => {
  for (const bad of ["{{}}", "{{a b}}", "{{a..b}}", "{{a[0]}}", "{{1+1}}", "{{a ?? nope}}"]) {
    assert.throws(() => render(bad, scope), { code: "template_invalid" }, bad);
  }
});

Deno.test("a hostile template of 40 kB is read in no time", () => {
  const started = performance.now();
  render("{{".repeat(20_000), scope);
  assert.throws(() => render(`{{${"a.".repeat(20_000)}}}`, scope));
  assert.ok(performance.now() - started < 500, "quadratic or worse");
});
