// Forms that a passkey answers: the browser is asked when the form is sent, and its answer is what is sent.

import { $, $$ } from "./shell.js";

const NAMED = /^\[|^\d+(\.\d+){3}$/;

/** What went wrong, in words. Why exactly, browsers do not tell a page. */
function reason(error) {
  if (NAMED.test(location.hostname)) return "Passkeys need an address with a name, such as localhost, not a number.";
  if (error.name === "InvalidStateError") return "This device has a passkey for your account already.";
  return "Nothing came back from the passkey. Try again.";
}

/** What the server asks of the passkey: it stands on the page, but for the sign-in, where it is fetched. */
async function asked(form) {
  const onPage = $("#js_data");
  if (onPage) return JSON.parse(onPage.textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/** Makes a passkey; one that is to sign in by itself is kept on the device and asks who holds it. */
function made({ creation_options: options }, alone) {
  options.publicKey.authenticatorSelection = {
    ...options.publicKey.authenticatorSelection,
    residentKey: alone ? "required" : "discouraged",
    requireResidentKey: alone,
    userVerification: alone ? "required" : "preferred",
  };
  return globalThis.webauthnJSON.create(options);
}

async function answered(form) {
  const data = await asked(form);
  if (form.dataset.passkey === "add") return made(data, form.elements.passwordless.checked);
  return globalThis.webauthnJSON.get(data.request_options);
}

for (const form of $$("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = $(".error", form);
    said.hidden = true;
    try {
      form.elements.credential.value = JSON.stringify(await answered(form));
      form.submit();
    } catch (error) {
      said.textContent = reason(error);
      said.hidden = false;
    }
  });
}
