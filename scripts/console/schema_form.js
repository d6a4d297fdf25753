import { html, useState } from "./vendor/ui.js";
import { Act } from "./parts.js";

/**
 * Asks for a value that fits a JSON Schema: buttons for yes or no and for a choice, fields for an
 * object, JSON text for everything else. `onValue` gets the value; what it throws is shown.
 */
export function SchemaForm({ schema, initial, action, onValue, children }) {
  const kinds = fieldsOf(schema);
  const [fault, setFault] = useState("");
  const [isBusy, setBusy] = useState(false);
  if (schema?.type === "boolean") {
    return html`
      <div class="row">
        <${Act} class="primary" run=${() => onValue(true)}>Yes<//><${Act} run=${() =>
          onValue(false)}>No<//></div>
    `;
  }
  if (Array.isArray(schema?.enum)) {
    return html`<div class="row">${
      schema.enum.map((one) =>
        html`<${Act} key=${one} run=${() => onValue(one)}>${String(one)}<//>`
      )
    }</div>`;
  }
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await onValue(
        kinds ? readFields(event.target, kinds) : readJson(event.target.elements.json.value),
      );
      setFault("");
    } catch (error) {
      setFault(error.message);
    }
    setBusy(false);
  };
  return html`<form class="stack" onSubmit=${submit}>
    ${
    kinds
      ? kinds.map((kind) =>
        html`<${Field} key=${kind.name} ...${kind} value=${initial?.[kind.name]} />`
      )
      : html`<label>${
        schema?.title ?? "Value, as JSON"
      } <textarea name="json" class="mono" rows="4" spellcheck="false">${
        initial === undefined ? "" : JSON.stringify(initial, null, 2)
      }</textarea></label>`
  }
    <p role="alert">${fault}</p>
    <div class="row"><button class="primary" disabled=${isBusy}>${action}</button>${children}</div>
  </form>`;
}

function Field({ name, type, title, choices, isRequired, value }) {
  if (type === "boolean") {
    return html`
      <label
        style="grid-template-columns:auto 1fr;align-items:center"><input type="checkbox" name=${name} defaultChecked=${value} /> ${title}</label>
    `;
  }
  const control = choices
    ? html`<select name=${name} required=${isRequired}>${
      choices.map((one) => html`<option value=${one} selected=${one === value}>${one}</option>`)
    }</select>`
    : html`
      <input name=${name} required=${isRequired} type=${type === "string"
        ? "text"
        : "number"} step=${type === "number" ? "any" : null}
        defaultValue=${value ?? ""} />
    `;
  return html`<label>${title}${isRequired ? "" : " (optional)"} ${control}</label>`;
}

function fieldsOf(schema) {
  if (schema?.type !== "object" || !schema.properties) return null;
  const fields = Object.entries(schema.properties).map(([name, one]) => ({
    name,
    title: one.title ?? name.replaceAll("_", " "),
    type: one.type,
    choices: one.enum,
    isRequired: schema.required?.includes(name) ?? false,
  }));
  const isSimple = fields.every((one) =>
    ["string", "number", "integer", "boolean"].includes(one.type)
  );
  return isSimple && fields.length ? fields : null;
}

function readFields(form, kinds) {
  const value = {};
  for (const { name, type } of kinds) {
    const field = form.elements.namedItem(name);
    if (type === "boolean") value[name] = field.checked;
    else if (field.value !== "") {
      value[name] = type === "string" ? field.value : Number(field.value);
    }
  }
  return value;
}

/** What was typed: JSON if it is, else the words themselves; nothing is an empty object. */
function readJson(text) {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/^\s*[[{"]/.test(text)) throw new Error(`That is not JSON: ${error.message}`);
    return text;
  }
}
