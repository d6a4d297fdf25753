import { html, useState } from "./vendor/ui.js";
import { Act, Empty, Fault, Head, Loaded, Time, useLoad } from "./parts.js";

const TONE = {
  active: "good",
  expiring: "warn",
  expired: "warn",
  needs_reauth: "bad",
  revoked: "",
};

/** Credentials the tools may use: they go in here and only masks come out. */
export function Vault({ mira }) {
  const secrets = useLoad(() => mira.tokens.list(), []);
  const [adding, setAdding] = useState(null);
  const toggle = (kind) => setAdding(adding === kind ? null : kind);
  const saved = () => {
    setAdding(null);
    secrets.reload();
  };
  return html`
    <${Head} title="Vault"
      lead="Credentials your workflows may use, encrypted under a key of your own. Nobody reads them back, not even you; you see the last characters.">
      <button aria-pressed=${adding === "token"} onClick=${() => toggle("token")}>Add token</button>
      <button aria-pressed=${adding === "key"} onClick=${() => toggle("key")}>Add API key</button>
    <//>
    ${adding && html`<${Add} key=${adding} kind=${adding} mira=${mira} onDone=${saved} />`}
    <${Loaded} of=${secrets}>${({ tokens, api_keys }) =>
      tokens.length + api_keys.length === 0
        ? html`
          <${Empty} title="The vault is empty">
            <p>Add an OAuth token or an API key, and a workflow's tools can act for you at that provider.</p>
            <//>
        `
        : html`
          <div class="card scroll">
            <table>
              <thead>
                <tr>
                  <th>Provider</th>
                  <th>Kind</th>
                  <th>Secret</th>
                  <th>Status</th>
                  <th>Last used</th>
                  <th><span class="hidden-label">Remove</span></th>
                </tr>
              </thead>
              <tbody>
                        ${tokens.map((token) =>
                          html`
                            <${Row} key=${token.id} kind="OAuth token" secret=${token} mask=${token
                              .masked_token}
                              remove=${() =>
                                mira.tokens.remove(token.provider).then(secrets.reload)} />
                          `
                        )}
                        ${api_keys.map((key) =>
                          html`
                            <${Row} key=${key.id} kind="API key · ${key
                              .label}" secret=${key} mask=${key.masked_key}
                              remove=${() => mira.tokens.removeKey(key.id).then(secrets.reload)} />
                          `
                        )}
                      </tbody>
            </table>
          </div>
        `}<//>
  `;
}

function Row({ kind, secret, mask, remove }) {
  const [isSure, setSure] = useState(false);
  return html`
    <tr>
      <td><b>${secret.provider}</b></td>
      <td class="muted">${kind}</td>
      <td class="mono">${mask}</td>
      <td><span class="badge ${TONE[secret.status]}" title=${secret.status_reason ?? ""}>${secret
        .status.replace("_", " ")}</span>
          ${secret.expires_at && html`
            <span class="small muted">until <${Time} at=${secret.expires_at} day /></span>
          `}</td>
      <td>
        <${Time} at=${secret.last_used_at} />
      </td>
      <td>${isSure
        ? html`
          <span
            class="row"><${Act} class="danger" run=${remove}>Destroy<//><button class="quiet" onClick=${() =>
              setSure(false)}>Keep</button></span>
        `
        : html`<button class="quiet" disabled=${secret.status === "revoked"} onClick=${() =>
          setSure(true)}>Remove</button>`}</td>
    </tr>
  `;
}

function Add({ kind, mira, onDone }) {
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
    try {
      await (kind === "token"
        ? mira.tokens.put({
          ...given,
          ...(given.expires_in ? { expires_in: Number(given.expires_in) } : {}),
        })
        : mira.tokens.putKey(given));
      form.reset();
      onDone();
    } catch (fault) {
      setError(fault);
    }
  };
  const secret = kind === "token" ? "access_token" : "key";
  return html`<form class="card stack" autocomplete="off" onSubmit=${submit}>
    <div class="columns">
      <label>Provider <input name="provider" placeholder="google, openai, my-crm" required /></label>
      <label>${
    kind === "token" ? "Access token" : "Key"
  } <input name=${secret} type="password" autocomplete="off" required /></label>
      ${
    kind === "token"
      ? html`
        <label>Refresh token <input name="refresh_token" type="password" autocomplete="off" /></label>
        <label>Lives for (seconds) <input name="expires_in" inputmode="numeric" pattern="[0-9]+" /></label>
      `
      : html`<label>Label <input name="label" placeholder="default" /></label>`
  }
    </div>
    ${error && html`<${Fault} error=${error} />`}
    ${
    error?.errors?.map((one) =>
      html`<p class="small muted"><code>${one.pointer}</code> ${one.detail}</p>`
    )
  }
    <div><button class="primary">Store</button></div>
  </form>`;
}
