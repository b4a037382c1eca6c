// Checks a consent receipt in the browser: nothing is uploaded. The steps are those of consent.verify, in five groups, and
// then who else has seen the ledger. Reads three public things from this server: the keys at /oauth/jwks, the ledger's
// verifier key at /ledger/vkey and its witness policy at /ledger/policy.
"use strict";

(() => {
  const input = document.getElementById("receipt-file");
  const list = document.getElementById("steps");
  const verdict = document.getElementById("verdict");
  if (!input || !list || !verdict || !window.crypto || !window.crypto.subtle) return;

  const text = new TextEncoder();
  const subtle = window.crypto.subtle;
  const ORDER = ["form", "signature", "text", "envelope", "ledger", "witnesses"];
  const DPV = "https://w3id.org/dpv#";
  const PROFILE = "https://w3id.org/dpv/schema/dpv-27560";
  // Claims that are no fields of the record.
  const SHOWN = ["iss", "iat", "vct", "receipt_profile", "commitment", "witnesses", "status", "cnf", "_sd", "_sd_alg"];
  const MEMBERS = ["agreement", "credential", "event", "format", "notice", "proof", "salt"];

  class Wrong extends Error {}
  class Unable extends Error {}

  // -- bytes

  const fromBase64 = (value) => Uint8Array.from(atob(value), (c) => c.charCodeAt(0));
  const fromBase64url = (value) => {
    if (typeof value !== "string" || !/^[A-Za-z0-9_-]*$/.test(value)) throw new Wrong("base64url");
    return fromBase64(value.replace(/-/g, "+").replace(/_/g, "/") + "=".repeat((4 - (value.length % 4)) % 4));
  };
  const toBase64url = (bytes) =>
    btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const hex = (bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  const join = (...parts) => {
    const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) { all.set(part, at); at += part.length; }
    return all;
  };
  const same = (a, b) => a.length === b.length && a.every((value, index) => value === b[index]);
  const sha256 = async (bytes) => new Uint8Array(await subtle.digest("SHA-256", bytes));

  // Canonical JSON (RFC 8785): members sorted by UTF-16 units, which is how JavaScript sorts.
  const canonical = (value) => {
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
    if (value && typeof value === "object") {
      return `{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(",")}}`;
    }
    return JSON.stringify(value);
  };
  const digest = async (value) => hex(await sha256(text.encode(canonical(value))));

  // -- signatures

  const importEd25519 = async (raw) => {
    try {
      return await subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
    } catch (error) {
      throw new Unable(String(error));
    }
  };

  const verifyJws = async (jwt, jwks, typ = "dc+sd-jwt") => {
    const [head, body, signature, ...more] = jwt.split(".");
    if (more.length || signature === undefined) throw new Wrong("jws");
    const header = JSON.parse(new TextDecoder().decode(fromBase64url(head)));
    if (header.typ !== typ || header.crit !== undefined) throw new Wrong("typ");
    const jwk = jwks.keys.find((key) => key.kid === header.kid && key.alg === header.alg);
    if (!jwk) throw new Wrong("kid");
    const signed = text.encode(`${head}.${body}`);
    let good;
    if (header.alg === "EdDSA" && jwk.crv === "Ed25519") {
      const key = await importEd25519(fromBase64url(jwk.x));
      good = await subtle.verify({ name: "Ed25519" }, key, fromBase64url(signature), signed);
    } else if (header.alg === "ES256" && jwk.crv === "P-256") {
      const plain = { kty: "EC", crv: "P-256", x: jwk.x, y: jwk.y };
      const key = await subtle.importKey("jwk", plain, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
      good = await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, fromBase64url(signature), signed);
    } else {
      throw new Wrong("alg");
    }
    if (!good) throw new Wrong("signature");
    return JSON.parse(new TextDecoder().decode(fromBase64url(body)));
  };

  // -- the ledger: c2sp.org/tlog-proof, tlog-checkpoint, signed-note; RFC 6962 hashes

  const readVkey = (vkey) => {
    const first = vkey.indexOf("+");
    const second = vkey.indexOf("+", first + 1);
    const raw = fromBase64(vkey.slice(second + 1));
    if (first < 1 || raw.length !== 33 || raw[0] !== 1) throw new Unable("vkey");
    return { name: vkey.slice(0, first), id: vkey.slice(first + 1, second), key: raw.slice(1) };
  };

  const openCheckpoint = async (note, vkey) => {
    const split = note.indexOf("\n\n");
    if (split < 0) throw new Wrong("note");
    const body = note.slice(0, split + 1);
    const { name, id, key } = readVkey(vkey);
    const lines = note.slice(split + 2).split("\n").filter((line) => line);
    const mine = lines.filter((line) => line.startsWith(`\u2014 ${name} `));
    const verifier = await importEd25519(key);
    let good = false;
    for (const line of mine) {
      const raw = fromBase64(line.slice(`\u2014 ${name} `.length));
      if (hex(raw.slice(0, 4)) !== id) continue;
      good = good || (await subtle.verify({ name: "Ed25519" }, verifier, raw.slice(4), text.encode(body)));
    }
    if (!good) throw new Wrong("checkpoint");
    const [origin, size, root] = body.split("\n");
    if (origin !== name || !/^(0|[1-9][0-9]*)$/.test(size)) throw new Wrong("origin");
    return { size: Number(size), root: fromBase64(root), body, lines };
  };

  // -- witnesses: c2sp.org/tlog-policy and tlog-cosignature ("Ed25519 signed message")

  const readPolicy = (content) => {
    const policy = { witnesses: new Map(), groups: new Map(), quorum: "none" };
    for (const line of content.split("\n")) {
      const [what, name, ...rest] = line.split(/[ \t]+/).filter((word) => word);
      if (what === "witness") policy.witnesses.set(name, rest[0]);
      else if (what === "group") policy.groups.set(name, { needed: rest[0], members: rest.slice(1) });
      else if (what === "quorum") policy.quorum = name;
    }
    return policy;
  };

  const isMet = (policy, name, signed) => {
    const group = policy.groups.get(name);
    if (!group) return signed.has(name);
    const needed = { all: group.members.length, any: 1 }[group.needed] || Number(group.needed);
    return group.members.filter((member) => isMet(policy, member, signed)).length >= needed;
  };

  const nameOf = (line) => line.slice(2, line.indexOf(" ", 2));

  // true: this key cosigned; false: no line of its; raises Wrong for a line of its that does not hold.
  const cosignedBy = async (vkey, { lines, body }) => {
    const name = vkey.slice(0, vkey.indexOf("+"));
    const id = vkey.slice(name.length + 1, vkey.indexOf("+", name.length + 1));
    const raw = fromBase64(vkey.slice(name.length + id.length + 2));
    let found = false;
    for (const line of lines.filter((each) => nameOf(each) === name)) {
      const value = fromBase64(line.slice(name.length + 3));
      if (hex(value.slice(0, 4)) !== id) continue;
      if (raw[0] !== 4 || raw.length !== 33) return false; // a kind of key that browsers cannot check (ML-DSA-44)
      if (value.length !== 76) throw new Wrong("cosignature");
      const time = new DataView(value.buffer, value.byteOffset + 4, 8).getBigUint64(0);
      const key = await importEd25519(raw.slice(1));
      const message = text.encode(`cosignature/v1\ntime ${time}\n${body}`);
      if (!(await subtle.verify({ name: "Ed25519" }, key, value.slice(12), message))) throw new Wrong("cosignature");
      found = true;
    }
    return found;
  };

  const readProof = (proof) => {
    const split = proof.indexOf("\n\n");
    const lines = proof.slice(0, split).split("\n");
    if (split < 0 || lines[0] !== "c2sp.org/tlog-proof@v1") throw new Wrong("proof");
    const place = lines[1] && lines[1].match(/^index (0|[1-9][0-9]*)$/);
    if (!place) throw new Wrong("index");
    return { index: Number(place[1]), hashes: lines.slice(2).map(fromBase64), checkpoint: proof.slice(split + 2) };
  };

  // RFC 9162 section 2.1.3.2. Sizes stay below 2^53, so plain division is exact where bits would overflow.
  const rootFrom = async (index, size, leaf, hashes) => {
    if (index >= size) throw new Wrong("index");
    const node = (left, right) => sha256(join(new Uint8Array([1]), left, right));
    let place = index;
    let last = size - 1;
    let hash = await sha256(join(new Uint8Array([0]), leaf));
    for (const other of hashes) {
      if (other.length !== 32 || last === 0) throw new Wrong("path");
      if (place % 2 === 1 || place === last) {
        hash = await node(other, hash);
        while (place % 2 === 0 && place !== 0) { place /= 2; last = Math.floor(last / 2); }
      } else {
        hash = await node(hash, other);
      }
      place = Math.floor(place / 2);
      last = Math.floor(last / 2);
    }
    if (last !== 0) throw new Wrong("path");
    return hash;
  };

  // -- an event in the words of ISO/IEC TS 27560 clause 6.3, as consent.iso27560 writes it

  const fieldsOf = (event, agreement, issuer) => {
    const { lang } = event.notice;
    const notice = agreement.text[lang];
    const { recipient } = agreement;
    const uses = new Map(agreement.categories.map((use) => [use.category, use]));
    return {
      schema_version: `${PROFILE}#record`,
      record_id: event.record,
      pii_principal_id: event.subject,
      privacy_notice: { title: notice.title, hash: event.notice.hash },
      language: lang,
      purpose: notice.short,
      purpose_type: agreement.purpose.iri,
      lawful_basis: agreement.lawful_basis.iri,
      pii_information: event.categories.map((category) => ({
        pii_type: category,
        pii_optional: !uses.get(category).required,
        sensitive_pii_category: uses.get(category).sensitivity >= 2,
      })),
      pii_controllers: [issuer],
      collection_method: `${DPV}DataSubjectDataSource`,
      processing_method: [`${DPV}Share`],
      storage_locations: [agreement.jurisdiction],
      retention_period: agreement.retention,
      jurisdiction: agreement.jurisdiction,
      recipient_third_parties: [recipient.member],
      withdrawal_method: `${issuer}/consents/${event.record}`,
      privacy_rights: `${issuer}/consents`,
      parties: [
        { party_id: issuer, party_role: `${DPV}DataController`, party_url: issuer },
        {
          party_id: recipient.member,
          party_name: recipient.name[lang],
          party_role: `${DPV}ThirdParty`,
          party_contact: recipient.contact,
        },
      ],
      event_time: event.time,
      validity_duration: event.until,
      entity_id: event.actor.authority === "self" ? event.subject : event.actor.authority,
      event_type: DPV + (event.type === "refused" ? "Consent" : "ExplicitlyExpressedConsent"),
      event_state: event.status,
    };
  };

  // -- the steps; one may end in another word than "good" that is no fault

  const check = {
    async form(state) {
      const content = new TextDecoder("utf-8", { fatal: true }).decode(state.bytes);
      const bundle = JSON.parse(content);
      if (canonical(bundle) !== content) throw new Wrong("canonical");
      if (Object.keys(bundle).sort().join() !== MEMBERS.join()) throw new Wrong("members");
      if (bundle.format !== "sekisho-consent-receipt/1") throw new Wrong("format");
      state.bundle = bundle;
    },
    async signature(state) {
      const parts = state.bundle.credential.split("~");
      if (parts.pop() !== "") throw new Wrong("sd-jwt");
      const claims = await verifyJws(parts[0], state.jwks);
      if (claims.vct !== "urn:sekisho:consent-receipt:27560:1") throw new Wrong("vct");
      if (claims._sd_alg !== "sha-256") throw new Wrong("_sd_alg");
      const known = new Set(claims._sd || []);
      const told = {};
      for (const disclosure of parts.slice(1)) {
        const named = toBase64url(await sha256(text.encode(disclosure)));
        if (!known.delete(named)) throw new Wrong("disclosure"); // nothing of this credential, or the same twice
        const opened = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(disclosure)));
        if (!Array.isArray(opened) || opened.length !== 3) throw new Wrong("disclosure");
        const [, name, value] = opened;
        if (typeof name !== "string" || Object.hasOwn(claims, name) || Object.hasOwn(told, name)) throw new Wrong("name");
        told[name] = value;
      }
      for (const name of Object.keys(claims)) if (!SHOWN.includes(name)) told[name] = claims[name];
      state.claims = claims;
      state.told = told;
    },
    async text(state) {
      const { event, agreement, notice } = state.bundle;
      if ((await digest(agreement)) !== event.revision_hash) throw new Wrong("agreement");
      if (canonical(agreement.text[event.notice.lang]) !== canonical(notice)) throw new Wrong("notice");
      if ((await digest(notice)) !== event.notice.hash) throw new Wrong("notice hash");
    },
    async envelope(state) {
      const salt = fromBase64url(state.bundle.salt);
      if (salt.length !== 32) throw new Wrong("salt");
      const key = await subtle.importKey("raw", salt, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      const opened = new Uint8Array(await subtle.sign("HMAC", key, text.encode(canonical(state.bundle.event))));
      if (!same(opened, fromBase64url(state.claims.commitment))) throw new Wrong("commitment");
      // Scanned from paper: the file must be the very one whose entry stands in the address.
      const wanted = location.hash.slice(1);
      if (/^[A-Za-z0-9_-]{43}$/.test(wanted) && wanted !== state.claims.commitment) throw new Wrong("another receipt");
      // What the credential says, field by field, is what the event says and nothing beside it (consent.verify, step 6).
      const { event, agreement } = state.bundle;
      if (canonical(state.told) !== canonical(fieldsOf(event, agreement, state.claims.iss))) throw new Wrong("fields");
      if (state.claims.receipt_profile !== `${PROFILE}#receipt`) throw new Wrong("profile");
      state.entry = join(new Uint8Array([1, 1]), opened);
    },
    async ledger(state) {
      const proof = readProof(state.bundle.proof);
      const checkpoint = await openCheckpoint(proof.checkpoint, state.vkey);
      const root = await rootFrom(proof.index, checkpoint.size, state.entry, proof.hashes);
      if (!same(root, checkpoint.root)) throw new Wrong("root");
      state.checkpoint = checkpoint;
    },
    async witnesses(state) {
      const stated = state.claims.witnesses;
      if (stated === undefined) return "none";
      const there = state.checkpoint.lines.map(nameOf);
      if (!stated.cosigned.every((name) => there.includes(name))) throw new Wrong("taken away");
      const policy = readPolicy(state.policy);
      const signed = new Set();
      for (const [name, vkey] of policy.witnesses) if (await cosignedBy(vkey, state.checkpoint)) signed.add(name);
      if (!stated.quorum) return "few";
      return policy.quorum !== "none" && isMet(policy, policy.quorum, signed) ? "good" : "other";
    },
  };

  // -- whether it still holds: Token Status List (draft-ietf-oauth-status-list-21, section 8.3), only when asked

  const statusOf = async (claims, jwks) => {
    if (claims.status === undefined) return "none";
    const { idx, uri } = claims.status.status_list;
    const token = await load(new URL(uri).pathname, "text"); // a list of ours; its name is checked below
    const listed = await verifyJws(token, jwks, "statuslist+jwt");
    const now = Date.now() / 1000;
    if (listed.sub !== uri || listed.iat > now + 60 || listed.exp <= now - 60) throw new Wrong("list");
    if (listed.status_list.bits !== 1) throw new Wrong("bits");
    const packed = new Blob([fromBase64url(listed.status_list.lst)]).stream();
    const bits = new Uint8Array(await new Response(packed.pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
    if (!Number.isInteger(idx) || idx < 0 || idx >> 3 >= bits.length) throw new Wrong("index");
    return (bits[idx >> 3] >> (idx & 7)) & 1 ? "invalid" : "valid";
  };

  // -- what is shown

  const show = (key, how) => {
    const step = document.getElementById(`step-${key}`);
    step.className = `step step-${["good", "bad", "waiting"].includes(how) ? how : "left"}`;
    step.querySelector(".step-said").textContent = list.dataset[how];
  };
  const say = (how, kind) => {
    verdict.hidden = false;
    verdict.className = `notice notice-${kind}`;
    verdict.dataset.outcome = how;
    verdict.firstElementChild.textContent = verdict.dataset[how];
  };

  const still = document.getElementById("still");
  const stillSaid = document.getElementById("still-said");
  let checked = null;
  document.getElementById("ask-status").addEventListener("click", async () => {
    let found;
    try {
      found = await statusOf(checked.claims, checked.jwks);
    } catch {
      found = "unknown";
    }
    stillSaid.dataset.outcome = found;
    stillSaid.textContent = still.dataset[found];
  });

  const load = async (path, read) => {
    const answer = await fetch(path, { credentials: "omit", cache: "no-cache" });
    if (!answer.ok) throw new Error(path);
    return answer[read]();
  };

  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    ORDER.forEach((key) => show(key, "waiting"));
    verdict.hidden = true;
    still.hidden = true;
    stillSaid.textContent = "";
    delete stillSaid.dataset.outcome;
    const state = {};
    try {
      state.bytes = new Uint8Array(await file.arrayBuffer());
      [state.jwks, state.vkey, state.policy] = await Promise.all([
        load("/oauth/jwks", "json"), load("/ledger/vkey", "text"), load("/ledger/policy", "text"),
      ]);
      state.vkey = state.vkey.trim();
    } catch {
      say("keys", "warn");
      return;
    }
    for (const [index, key] of ORDER.entries()) {
      try {
        show(key, (await check[key](state)) || "good");
      } catch (error) {
        ORDER.slice(index + 1).forEach((later) => show(later, "left"));
        if (error instanceof Unable) {
          show(key, "left");
          say("unable", "info");
        } else {
          show(key, "bad");
          say("bad", "warn");
        }
        return;
      }
    }
    say("good", "done");
    checked = state;
    still.hidden = false;
  });
})();
