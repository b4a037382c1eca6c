// Passkeys (WebAuthn Level 3) for the sign-in, sign-up and safety pages. The only thing here that needs a script.
// The page says in data attributes where to begin and finish, and brings its own words for what can go wrong.
"use strict";

(() => {
  const able = typeof PublicKeyCredential === "function" &&
    typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function" &&
    typeof PublicKeyCredential.parseCreationOptionsFromJSON === "function";

  const problem = document.getElementById("passkey-problem");

  function tell(code) {
    if (!problem) return;
    problem.firstElementChild.textContent = problem.dataset[code] || problem.dataset.refused;
    problem.firstElementChild.dataset.code = code;
    problem.hidden = false;
  }

  // The slugs of our problem types, as the words on the page know them.
  const CODES = {
    "passkey-refused": "refused", "passkey-suspended": "suspended", "passkey-known": "known",
    "login-taken": "taken", "too-many": "throttled",
  };

  async function post(url, body) {
    let answer;
    try {
      answer = await fetch(url, {
        method: "POST", credentials: "same-origin", redirect: "error",
        headers: { "Content-Type": "application/json", "Accept": "application/json" },
        body: body === undefined ? "{}" : JSON.stringify(body),
      });
    } catch {
      throw new Error("offline");
    }
    const found = await answer.json().catch(() => ({}));
    if (answer.ok) return found;
    if (found.go) { window.location.assign(found.go); throw new Error("gone"); }
    throw new Error(CODES[String(found.type).split("/").pop()] || "refused");
  }

  async function run(button, ask) {
    if (problem) problem.hidden = true;
    button.disabled = true;
    try {
      const options = await post(button.dataset.begin);
      let credential;
      try {
        credential = await ask(options);
      } catch (error) {
        throw new Error(error.name === "InvalidStateError" ? "known" : "cancelled");
      }
      const query = new URLSearchParams();
      if (button.dataset.next) query.set("next", button.dataset.next);
      const name = button.dataset.name && document.getElementById(button.dataset.name);
      if (name) query.set("name", name.value);
      const done = await post(`${button.dataset.finish}?${query}`, credential.toJSON());
      window.location.assign(done.next);
    } catch (error) {
      if (error.message !== "gone") tell(error.message);
      button.disabled = false;
    }
  }

  if (able) {
    for (const part of document.querySelectorAll("[data-passkey]")) part.hidden = false;
    for (const part of document.querySelectorAll("[data-no-passkey]")) part.hidden = true;
    const signIn = document.getElementById("passkey-sign-in");
    signIn?.addEventListener("click", () => run(signIn, (options) => navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
    })));
    const create = document.getElementById("passkey-create");
    create?.addEventListener("click", () => run(create, (options) => navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
    })));
  }

  for (const print of document.querySelectorAll("[data-print]")) {
    print.hidden = false;
    print.addEventListener("click", () => window.print());
  }
})();
