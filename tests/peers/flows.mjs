// Relying parties written by others against a served city: npm openid-client (v6) and oauth4webapi.
//
//   node flows.mjs < city.json
//
// city.json: issuer, cookie and login (of a resident who is signed in), mtls {cert, key}, ca, machine, device and counter
// (clients that an operator made: client_id and private JWK). Every flow registers a client of its own where it can. For each flow one
// line of JSON is printed: {"flow": …, "ok": true} or {"flow": …, "ok": false, "error": …}.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose';
import * as client from 'openid-client';
import * as oauth from 'oauth4webapi';

const city = JSON.parse(readFileSync(0, 'utf8'));
const issuer = new URL(city.issuer);
const REDIRECT = 'https://clinic.example/cb';
const AFTER = 'https://clinic.example/bye';

// -- a site of the client's own: documents it publishes, and what it is told -------------------------------------

const documents = new Map();
const heard = new Map();
const server = https.createServer(city.site, async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  if (request.method === 'POST') heard.get(request.url)?.(Buffer.concat(parts).toString());
  const found = documents.get(request.url);
  response.writeHead(request.method === 'POST' || found !== undefined ? 200 : 404, { 'content-type': 'application/json' });
  response.end(found);
});
await new Promise((done) => { server.listen(city.site.port, 'localhost', done); });
const site = {
  url: `https://localhost:${server.address().port}`,
  publish(path, document) {
    documents.set(path, typeof document === 'string' ? document : JSON.stringify(document));
    return this.url + path;
  },
  told: (path) => new Promise((done) => { heard.set(path, done); }),
};

// -- keys, registration, the resident's browser ------------------------------------------------------------------

const KINDS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  Ed25519: { name: 'Ed25519' },
  PS256: { name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
};

async function pair(alg = 'ES256') {
  const made = await crypto.subtle.generateKey(KINDS[alg], true, ['sign', 'verify']);
  const jwk = await crypto.subtle.exportKey('jwk', made.publicKey);
  const { kty, crv, x, y, n, e } = jwk;
  const kid = crypto.randomUUID();
  const publicJwk = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, use: 'sig' }));
  return { key: { key: made.privateKey, kid }, jwks: { keys: [publicJwk] } };
}

const imported = async (jwk) => ({
  key: await crypto.subtle.importKey('jwk', jwk, KINDS.ES256, false, ['sign']), kid: jwk.kid,
});

const register = (metadata = {}, auth = client.ClientSecretBasic()) => client.dynamicClientRegistration(issuer, {
  client_name: 'Clinic', redirect_uris: [REDIRECT], grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'], token_endpoint_auth_method: 'client_secret_basic', ...metadata,
}, auth);

const get = (url) => fetch(url, { redirect: 'manual', headers: { cookie: city.cookie } });

// Follows redirects of the city and agrees on its pages, until somebody else's address is reached.
async function browse(url) {
  let response = await get(url);
  for (let hops = 0; hops < 8; hops += 1) {
    const location = response.headers.get('location');
    if (location !== null) {
      const next = new URL(location, issuer);
      if (next.origin !== issuer.origin) return next;
      response = await get(next);
      continue;
    }
    const page = await response.text();
    assert.equal(response.status, 200, page.slice(0, 400));
    const form = /<form method="post" action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/.exec(page.slice(page.indexOf('<main')));
    if (!form && new URL(response.url).pathname === '/device/done') return null;
    assert.ok(form, page.slice(0, 400));
    const fields = new URLSearchParams();
    for (const [input] of form[2].matchAll(/<input (?!type="(?:checkbox|radio)")[^>]*>/g)) {
      const [name, value] = ['name', 'value'].map((of) => new RegExp(`\\s${of}="([^"]*)"`).exec(input)?.[1] ?? '');
      fields.append(name, unescaped(value));
    }
    const action = new URL(unescaped(form[1]), issuer);
    if (action.origin !== issuer.origin) return new Request(action, { method: 'POST', body: fields });
    const button = /<button type="submit"[^>]*\bname="([^"]*)" value="([^"]*)"/.exec(form[2]);
    if (button) fields.append(button[1], button[2]);
    response = await fetch(action, {
      method: 'POST', body: fields, redirect: 'manual', headers: { cookie: city.cookie, origin: issuer.origin },
    });
  }
  throw new Error('the city sends the browser in circles');
}

const unescaped = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#34;', '"').replaceAll('&#39;', "'");

// One authorization, as openid-client's manual has it: PKCE, state, nonce.
async function authorized(config, { address = client.buildAuthorizationUrl, ask = {}, dpop } = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const parameters = {
    redirect_uri: REDIRECT, scope: 'openid profile', state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...ask,
  };
  const url = await address(config, parameters, dpop && { DPoP: dpop });
  const answer = await browse(url);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await client.authorizationCodeGrant(config, answer, checks, undefined, dpop && { DPoP: dpop });
  const claims = tokens.claims();
  assert.equal(claims.iss, city.issuer);
  const said = await client.fetchUserInfo(config, tokens.access_token, claims.sub, dpop && { DPoP: dpop });
  assert.ok(said.name);
  return tokens;
}

const OFFLINE = { scope: 'openid profile offline_access', prompt: 'consent' };
const strict = (config) => { client.enableNonRepudiationChecks(config); return config; };

// A fetch that shows a client certificate: the platform's own has no way to.
const shows = ({ cert, key }) => (url, options) => new Promise((resolve, reject) => {
  const request = https.request(url, { method: options.method, headers: options.headers, cert, key, ca: city.ca }, (answer) => {
    const parts = [];
    answer.on('data', (part) => parts.push(part));
    answer.on('end', () => resolve(new Response(answer.statusCode === 204 ? null : Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })));
  });
  request.on('error', reject);
  if (options.body) request.write(options.body.toString());
  request.end();
});

async function refused(promise, code) {
  await assert.rejects(promise, (error) => (error.error ?? error.cause?.error) === code);
}

// -- the flows ---------------------------------------------------------------------------------------------------

const flows = {
  async 'code with PKCE, a secret by Basic, RS256'() {
    const config = strict(await register());
    const tokens = await authorized(config);
    assert.equal(JSON.parse(atob(tokens.id_token.split('.')[0])).alg, 'RS256');
  },

  async 'code with a secret in the body'() {
    await authorized(strict(await register({ token_endpoint_auth_method: 'client_secret_post' }, client.ClientSecretPost())));
  },

  async 'code of a public client'() {
    await authorized(strict(await register({ token_endpoint_auth_method: 'none' }, client.None())));
  },

  async 'the claims parameter, max_age and acr_values'() {
    const claims = JSON.stringify({ id_token: { auth_time: { essential: true } }, userinfo: { name: null } });
    const tokens = await authorized(strict(await register()), { ask: { claims, max_age: '3600', acr_values: 'urn:sekisho:aal:2' } });
    assert.equal(tokens.claims().acr, 'urn:sekisho:aal:2');
    assert.ok(tokens.claims().auth_time);
  },

  async 'refresh tokens rotate; a used one ends the chain'() {
    const config = strict(await register());
    const tokens = await authorized(config, { ask: OFFLINE });
    const again = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(again.refresh_token, tokens.refresh_token);
    assert.equal(again.claims().sub, tokens.claims().sub);
    await refused(client.refreshTokenGrant(config, tokens.refresh_token), 'invalid_grant');
    await refused(client.refreshTokenGrant(config, again.refresh_token), 'invalid_grant');
  },

  async 'introspection and revocation'() {
    const config = strict(await register());
    const tokens = await authorized(config, { ask: OFFLINE });
    const said = await client.tokenIntrospection(config, tokens.access_token);
    assert.equal(said.active, true);
    await client.tokenRevocation(config, tokens.refresh_token);
    assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
    await refused(client.refreshTokenGrant(config, tokens.refresh_token), 'invalid_grant');
  },

  async 'private_key_jwt with every algorithm'() {
    for (const alg of Object.keys(KINDS)) {
      const { key, jwks } = await pair(alg);
      const config = await register({ token_endpoint_auth_method: 'private_key_jwt', jwks }, client.PrivateKeyJwt(key));
      await authorized(strict(config)).catch((error) => { throw new Error(`${alg}: ${error.message} ${JSON.stringify(error.cause ?? '')}`); });
    }
  },

  async 'ID tokens in every algorithm'() {
    for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
      const config = strict(await register({ id_token_signed_response_alg: alg }));
      const tokens = await authorized(config);
      assert.equal(JSON.parse(atob(tokens.id_token.split('.')[0])).alg, alg);
    }
  },

  async 'signed userinfo'() {
    await authorized(strict(await register({ userinfo_signed_response_alg: 'ES256' })));
  },

  async 'pushed authorization requests'() {
    const config = strict(await register({ require_pushed_authorization_requests: true }));
    await authorized(config, { address: client.buildAuthorizationUrlWithPAR });
  },

  async 'signed requests'() {
    for (const alg of ['ES256', 'PS256', 'RS256', 'Ed25519']) {
      const { key, jwks } = await pair(alg);
      const config = strict(await register({ jwks, request_object_signing_alg: alg, require_signed_request_object: true }));
      await authorized(config, { address: (of, parameters) => client.buildAuthorizationUrlWithJAR(of, parameters, key) });
    }
  },

  async 'signed requests, pushed'() {
    const { key, jwks } = await pair();
    const config = strict(await register({ jwks, require_signed_request_object: true }));
    const address = async (of, parameters) => {
      const signed = await client.buildAuthorizationUrlWithJAR(of, parameters, key);
      return client.buildAuthorizationUrlWithPAR(of, signed.searchParams);
    };
    await authorized(config, { address });
  },

  async 'signed answers'() {
    const config = strict(await register({ authorization_signed_response_alg: 'ES256' }));
    client.useJwtResponseMode(config);
    await authorized(config);
  },

  async 'answers by form post'() {
    await authorized(strict(await register()), { ask: { response_mode: 'form_post' } });
  },

  async 'DPoP with nonces'() {
    for (const alg of ['ES256', 'PS256', 'Ed25519']) {
      const config = strict(await register({ dpop_bound_access_tokens: true }));
      const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair(alg));
      const tokens = await authorized(config, { dpop, ask: OFFLINE });
      assert.equal(tokens.token_type, 'dpop');
      assert.ok(await dpop.calculateThumbprint());
      const again = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: dpop });
      const said = await client.fetchUserInfo(config, again.access_token, client.skipSubjectCheck, { DPoP: dpop });
      assert.ok(said.sub);
      await assert.rejects(client.fetchUserInfo(config, again.access_token, client.skipSubjectCheck));
    }
  },

  async 'DPoP binds the code to the key of the push'() {
    const config = strict(await register());
    const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    await authorized(config, { dpop, address: client.buildAuthorizationUrlWithPAR });
  },

  async 'mutual TLS: client and bound tokens'() {
    const config = await register({
      token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: city.mtls.name,
      tls_client_certificate_bound_access_tokens: true, use_mtls_endpoint_aliases: true,
    }, client.TlsClientAuth());
    config[client.customFetch] = shows(city.mtls);
    const tokens = await authorized(strict(config), { ask: OFFLINE });
    await client.refreshTokenGrant(config, tokens.refresh_token);
    const plain = await fetch(config.serverMetadata().userinfo_endpoint, { headers: { authorization: `Bearer ${tokens.access_token}` } });
    assert.equal(plain.status, 401); // stolen, it opens nothing
  },

  async 'FAPI 2.0 Security Profile'() {
    const { key, jwks } = await pair('PS256');
    const config = strict(await register({
      profile: 'fapi2-security', token_endpoint_auth_method: 'private_key_jwt', jwks, dpop_bound_access_tokens: true,
    }, client.PrivateKeyJwt(key)));
    const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const tokens = await authorized(config, { dpop, address: client.buildAuthorizationUrlWithPAR, ask: OFFLINE });
    assert.equal(JSON.parse(atob(tokens.id_token.split('.')[0])).alg, 'ES256');
    for (let round = 0; round < 2; round += 1) {
      const again = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: dpop });
      assert.equal(again.refresh_token, tokens.refresh_token); // no rotation (section 5.3.2.1 item 9)
    }
  },

  async 'FAPI 2.0 Security Profile over mutual TLS'() {
    const config = strict(await register({
      profile: 'fapi2-security', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: city.mtls.name,
      tls_client_certificate_bound_access_tokens: true, use_mtls_endpoint_aliases: true,
    }, client.TlsClientAuth()));
    config[client.customFetch] = shows(city.mtls);
    await authorized(config, { address: client.buildAuthorizationUrlWithPAR });
  },

  async 'FAPI 2.0 Message Signing'() {
    const { key, jwks } = await pair();
    const config = strict(await register({
      profile: 'fapi2-message-signing', token_endpoint_auth_method: 'private_key_jwt', jwks, dpop_bound_access_tokens: true,
    }, client.PrivateKeyJwt(key)));
    client.useJwtResponseMode(config);
    const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const address = async (of, parameters, options) => {
      const signed = await client.buildAuthorizationUrlWithJAR(of, parameters, key);
      return client.buildAuthorizationUrlWithPAR(of, signed.searchParams, options);
    };
    const tokens = await authorized(config, { dpop, address });
    const [as, made] = [config.serverMetadata(), { ...config.clientMetadata(), introspection_signed_response_alg: 'ES256' }];
    const asked = await oauth.introspectionRequest(as, made, oauth.PrivateKeyJwt(key), tokens.access_token, { requestJwtResponse: true });
    assert.equal(asked.headers.get('content-type'), 'application/token-introspection+jwt');
    assert.equal((await oauth.processIntrospectionResponse(as, made, asked)).active, true);
    await oauth.validateApplicationLevelSignature(as, asked); // section 5.5
  },

  async 'client credentials, with DPoP, introspected'() {
    const key = await imported(city.machine.jwk);
    const config = await client.discovery(issuer, city.machine.client_id, undefined, client.PrivateKeyJwt(key));
    const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const tokens = await client.clientCredentialsGrant(config, { scope: 'meter:read' }, { DPoP: dpop });
    const said = await client.tokenIntrospection(config, tokens.access_token);
    assert.deepEqual([said.active, said.scope, said.cnf.jkt], [true, 'meter:read', await dpop.calculateThumbprint()]);
    await refused(client.clientCredentialsGrant(config, { scope: 'meter:write' }, { DPoP: dpop }), 'invalid_scope');
  },

  async 'a device without a keyboard'() {
    const key = await imported(city.device.jwk);
    const config = await client.discovery(issuer, city.device.client_id, undefined, client.PrivateKeyJwt(key));
    const begun = await client.initiateDeviceAuthorization(config, { scope: 'openid profile' });
    const waiting = client.pollDeviceAuthorizationGrant(config, begun);
    await browse(new URL(begun.verification_uri_complete));
    const tokens = await waiting;
    const said = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.ok(said.name);
  },

  async 'a counter asks, the resident answers at home'() {
    const key = await imported(city.counter.jwk);
    const config = await client.discovery(issuer, city.counter.client_id, undefined, client.PrivateKeyJwt(key));
    const asked = { scope: 'openid profile', login_hint: city.login, binding_message: '3-41' };
    const begun = await client.initiateBackchannelAuthentication(config, asked);
    const waiting = client.pollBackchannelAuthenticationGrant(config, begun);
    const home = await (await get(new URL('/home', issuer))).text();
    await browse(new URL(/href="(\/interaction\/int_[0-9a-z]+)"/.exec(home)[1], issuer));
    const tokens = await waiting;
    const said = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.ok(said.name);
    await client.initiateBackchannelAuthentication(config, { ...asked, login_hint: 'nobody-at-all' });
  },

  async 'a token is exchanged'() {
    const key = await imported(city.machine.jwk);
    const config = await client.discovery(issuer, city.machine.client_id, undefined, client.PrivateKeyJwt(key));
    const own = await client.clientCredentialsGrant(config, { scope: 'meter:read' });
    const kind = 'urn:ietf:params:oauth:token-type:access_token';
    const grant = (more) => client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: own.access_token, subject_token_type: kind, actor_token: own.access_token, actor_token_type: kind, ...more,
    });
    const further = await grant({ resource: 'https://records.example' });
    assert.equal(further.issued_token_type, kind);
    const said = await client.tokenIntrospection(config, further.access_token);
    assert.deepEqual([said.aud, said.scope, said.act.sub], ['https://records.example', 'meter:read', city.machine.client_id]);
    await refused(grant({ resource: 'https://else.example' }), 'invalid_target');
  },

  async 'oauth4webapi reads signed introspection'() {
    const key = await imported(city.machine.jwk);
    const config = await client.discovery(issuer, city.machine.client_id, undefined, client.PrivateKeyJwt(key));
    const own = await client.clientCredentialsGrant(config, { scope: 'meter:read' });
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
    const me = { client_id: city.machine.client_id, introspection_signed_response_alg: 'RS256' };
    const answer = await oauth.introspectionRequest(as, me, oauth.PrivateKeyJwt(key), own.access_token, { requestJwtResponse: true });
    assert.equal(answer.headers.get('content-type'), 'application/token-introspection+jwt');
    const said = await oauth.processIntrospectionResponse(as, me, answer);
    assert.deepEqual([said.active, said.scope], [true, 'meter:read']);
    await oauth.validateApplicationLevelSignature(as, answer);
  },

  async 'registration is read, changed and ended'() {
    const config = await register();
    const made = config.clientMetadata();
    const asked = (method, token, body) => fetch(made.registration_client_uri, {
      method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
    });
    const read = await (await asked('GET', made.registration_access_token)).json();
    assert.equal(read.client_id, made.client_id);
    const changed = await (await asked('PUT', made.registration_access_token, {
      client_id: made.client_id, redirect_uris: [REDIRECT], client_name: 'Clinic 2',
    })).json();
    assert.equal(changed.client_name, 'Clinic 2');
    assert.equal((await asked('DELETE', changed.registration_access_token)).status, 204);
    await assert.rejects(client.tokenIntrospection(config, 'x'), client.WWWAuthenticateChallengeError);
  },

  async "keys, sector and request from the client's own addresses"() {
    const { key, jwks } = await pair('PS256');
    const metadata = {
      jwks_uri: site.publish('/jwks', jwks), sector_identifier_uri: site.publish('/sector', [REDIRECT]), subject_type: 'pairwise',
      request_uris: [`${site.url}/request`], token_endpoint_auth_method: 'private_key_jwt',
    };
    const config = strict(await register(metadata, client.PrivateKeyJwt(key)));
    await authorized(config);
    await authorized(config, { address: async (of, parameters) => {
      const now = Math.floor(Date.now() / 1000);
      const request = await new SignJWT({ ...parameters, response_type: 'code', client_id: of.clientMetadata().client_id, nbf: now })
        .setProtectedHeader({ alg: 'PS256', kid: key.kid, typ: 'oauth-authz-req+jwt' }).setAudience(city.issuer)
        .setIssuer(of.clientMetadata().client_id).setExpirationTime('5m').sign(key.key);
      site.publish('/request', request);
      return client.buildAuthorizationUrl(of, { request_uri: `${site.url}/request`, scope: 'openid', redirect_uri: REDIRECT });
    } });
  },

  async 'oauth4webapi: code, PKCE and DPoP, step by step'() {
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
    const made = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
      client_name: 'Clinic', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'client_secret_basic', dpop_bound_access_tokens: true,
    }));
    const auth = oauth.ClientSecretBasic(made.client_secret);
    const DPoP = oauth.DPoP(made, await oauth.generateKeyPair('ES256'));
    const verifier = oauth.generateRandomCodeVerifier();
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: made.client_id, redirect_uri: REDIRECT, response_type: 'code', scope: 'openid profile',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    });
    const answer = oauth.validateAuthResponse(as, made, await browse(url), oauth.expectNoState);
    const exchange = async () => oauth.processAuthorizationCodeResponse(as, made, await oauth.authorizationCodeGrantRequest(
      as, made, auth, answer, REDIRECT, verifier, { DPoP }), { requireIdToken: true });
    // The first answer is a nonce, by an error that the library names (RFC 9449 section 8).
    const tokens = await exchange().catch((error) => { assert.ok(oauth.isDPoPNonceError(error)); return exchange(); });
    const { sub } = oauth.getValidatedIdTokenClaims(tokens);
    const said = await oauth.processUserInfoResponse(as, made, sub, await oauth.userInfoRequest(as, made, tokens.access_token, { DPoP }));
    assert.ok(said.name);
    const asked = await oauth.introspectionRequest(as, made, auth, tokens.access_token);
    assert.equal((await oauth.processIntrospectionResponse(as, made, asked)).active, true);
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, made, auth, tokens.access_token));
  },

  async 'oauth4webapi judges our access tokens as a resource server does'() {
    const config = await register({ dpop_bound_access_tokens: true });
    const keys = await client.randomDPoPKeyPair();
    const dpop = client.getDPoPHandle(config, keys);
    const tokens = await authorized(config, { dpop });
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
    let seen;
    const [made, DPoP] = [{ client_id: config.clientMetadata().client_id }, oauth.DPoP({}, keys)];
    await oauth.protectedResourceRequest(tokens.access_token, 'GET', new URL('https://bank.example/records'), undefined, undefined, {
      DPoP, [oauth.customFetch]: async (url, options) => { seen = new Request(url, { method: options.method, headers: options.headers }); return new Response('{}'); },
    });
    const claims = await oauth.validateJwtAccessToken(as, seen, city.issuer);
    assert.equal(claims.client_id, made.client_id);
    assert.equal(claims.cnf.jkt, await dpop.calculateThumbprint());
  },

  async 'answers closed for their client alone'() {
    const { key, jwks } = await pair();
    const closed = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', closed.publicKey);
    const kid = crypto.randomUUID();
    const ways = Object.fromEntries(['id_token', 'userinfo', 'authorization'].flatMap((kind) => [
      [`${kind}_encrypted_response_alg`, 'ECDH-ES'], [`${kind}_encrypted_response_enc`, 'A256GCM'],
    ]));
    const config = strict(await register({
      jwks: { keys: [...jwks.keys, { kty, crv, x, y, kid, use: 'enc', alg: 'ECDH-ES' }] }, ...ways,
      userinfo_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256',
      token_endpoint_auth_method: 'private_key_jwt',
    }, client.PrivateKeyJwt(key)));
    client.enableDecryptingResponses(config, ['A256GCM'], { key: closed.privateKey, alg: 'ECDH-ES', kid });
    client.useJwtResponseMode(config);
    const tokens = await authorized(config);
    assert.equal(tokens.id_token.split('.').length, 5);
  },

  async 'an outside issuer vouches'() {
    const idp = await pair();
    site.publish('/idp', idp.jwks);
    const key = await imported(city.voucher.jwk);
    const config = await client.discovery(issuer, city.voucher.client_id, undefined, client.PrivateKeyJwt(key), { algorithm: 'oauth2' });
    const vouched = (changes = {}) => new SignJWT({ sub: 'nurse-7', jti: crypto.randomUUID(), ...changes })
      .setProtectedHeader({ alg: 'ES256', kid: idp.key.kid }).setIssuer('https://idp.example').setAudience(city.issuer)
      .setIssuedAt().setExpirationTime('1m').sign(idp.key.key);
    const grant = async (assertion) => client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:jwt-bearer', { assertion: await assertion });
    const tokens = await grant(vouched());
    assert.equal(tokens.scope, 'read');
    assert.equal(tokens.refresh_token, undefined);
    await refused(grant(vouched({ jti: undefined })), 'invalid_grant');
  },

  async 'implicit and hybrid are refused by name'() {
    for (const use of [client.useIdTokenResponseType, client.useCodeIdTokenResponseType]) {
      const config = await register();
      use(config);
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: REDIRECT, scope: 'openid', nonce: client.randomNonce(), state: 's', response_mode: 'query',
      });
      const answer = await browse(url);
      assert.equal(answer.searchParams.get('error'), 'unsupported_response_type');
      assert.equal(answer.searchParams.get('iss'), city.issuer);
    }
  },

  async 'a resource says who gives tokens for it, and is asked'() {
    const resource = new URL(city.issuer);
    const described = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource));
    assert.deepEqual(described.authorization_servers, [city.issuer]);
    const config = strict(await register({ dpop_bound_access_tokens: true }));
    const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair());
    const tokens = await authorized(config, { dpop });
    const place = new URL(config.serverMetadata().userinfo_endpoint);
    const said = await client.fetchProtectedResource(config, tokens.access_token, place, 'GET', null, new Headers(), { DPoP: dpop });
    assert.equal(said.status, 200);
    const bank = new URL('/api/bank/records?category=mobility', issuer);
    const data = await client.fetchProtectedResource(config, tokens.access_token, bank, 'GET', null, new Headers(), { DPoP: dpop });
    assert.equal(data.status, 403); // nobody agreed to that
  },

  async 'oauth4webapi: signed, pushed, answered signed, refreshed'() {
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }));
    const { key, jwks } = await pair();
    const made = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
      client_name: 'Clinic', redirect_uris: [REDIRECT], grant_types: ['authorization_code', 'refresh_token'], jwks,
      token_endpoint_auth_method: 'private_key_jwt', require_signed_request_object: true, authorization_signed_response_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
    }));
    const auth = oauth.PrivateKeyJwt(key);
    const [verifier, state, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState(), oauth.generateRandomNonce()];
    const asked = {
      redirect_uri: REDIRECT, response_type: 'code', response_mode: 'jwt', state, nonce, scope: 'openid profile offline_access', prompt: 'consent',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    };
    const request = await oauth.issueRequestObject(as, made, asked, key);
    const pushed = await oauth.processPushedAuthorizationResponse(as, made,
      await oauth.pushedAuthorizationRequest(as, made, auth, { client_id: made.client_id, request }));
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({ client_id: made.client_id, request_uri: pushed.request_uri });
    const answer = await oauth.validateJwtAuthResponse(as, made, await browse(url), state);
    const tokens = await oauth.processAuthorizationCodeResponse(as, made,
      await oauth.authorizationCodeGrantRequest(as, made, auth, answer, REDIRECT, verifier), { expectedNonce: nonce, requireIdToken: true });
    const response = await oauth.refreshTokenGrantRequest(as, made, auth, tokens.refresh_token);
    const again = await oauth.processRefreshTokenResponse(as, made, response);
    await oauth.validateApplicationLevelSignature(as, response);
    assert.notEqual(again.refresh_token, tokens.refresh_token);
  },

  async 'oauth4webapi: itself, a device, a counter, step by step'() {
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));
    const machine = [{ client_id: city.machine.client_id }, oauth.PrivateKeyJwt(await imported(city.machine.jwk))];
    const own = await oauth.processClientCredentialsResponse(as, machine[0],
      await oauth.clientCredentialsGrantRequest(as, ...machine, { scope: 'meter:read' }));
    const kind = 'urn:ietf:params:oauth:token-type:access_token';
    const further = await oauth.processGenericTokenEndpointResponse(as, machine[0], await oauth.genericTokenEndpointRequest(
      as, ...machine, 'urn:ietf:params:oauth:grant-type:token-exchange', {
        subject_token: own.access_token, subject_token_type: kind, actor_token: own.access_token, actor_token_type: kind, resource: 'https://records.example',
      }));
    assert.equal(further.issued_token_type, kind);

    const device = [{ client_id: city.device.client_id }, oauth.PrivateKeyJwt(await imported(city.device.jwk))];
    const begun = await oauth.processDeviceAuthorizationResponse(as, device[0],
      await oauth.deviceAuthorizationRequest(as, ...device, { scope: 'openid profile' }));
    const pending = oauth.processDeviceCodeResponse(as, device[0], await oauth.deviceCodeGrantRequest(as, ...device, begun.device_code));
    await refused(pending, 'authorization_pending');
    await browse(new URL(begun.verification_uri_complete));
    const seen = await oauth.processDeviceCodeResponse(as, device[0], await oauth.deviceCodeGrantRequest(as, ...device, begun.device_code));
    assert.ok(oauth.getValidatedIdTokenClaims(seen).sub);

    const counter = [{ client_id: city.counter.client_id }, oauth.PrivateKeyJwt(await imported(city.counter.jwk))];
    const asked = await oauth.processBackchannelAuthenticationResponse(as, counter[0],
      await oauth.backchannelAuthenticationRequest(as, ...counter, { scope: 'openid profile', login_hint: city.login }));
    const home = await (await get(new URL('/home', issuer))).text();
    await browse(new URL(/href="(\/interaction\/int_[0-9a-z]+)"/.exec(home)[1], issuer));
    const told = await oauth.processBackchannelAuthenticationGrantResponse(as, counter[0],
      await oauth.backchannelAuthenticationGrantRequest(as, ...counter, asked.auth_req_id));
    assert.ok(oauth.getValidatedIdTokenClaims(told).sub);
  },

  async "signing out, told behind the browser's back"() { // last: it ends the resident's session
    const config = strict(await register({ // told at a host of its redirect addresses
      redirect_uris: [REDIRECT, `${site.url}/cb`], post_logout_redirect_uris: [AFTER], backchannel_logout_uri: `${site.url}/out`,
    }));
    const tokens = await authorized(config);
    const url = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: AFTER, state: 'bye' });
    const end = await browse(url);
    assert.equal(end.href, `${AFTER}?state=bye`);
    assert.match((await get(new URL('/home', issuer))).headers.get('location') ?? '', /sign-in/);
    const told = new URLSearchParams(await site.told('/out')).get('logout_token');
    const { payload } = await jwtVerify(told, createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)), {
      issuer: city.issuer, audience: config.clientMetadata().client_id, typ: 'logout+jwt',
    });
    assert.equal(payload.sid, tokens.claims().sid);
    assert.ok(payload.events['http://schemas.openid.net/event/backchannel-logout']);
  },
};

const late = () => new Promise((_, reject) => { setTimeout(() => reject(new Error('nothing came for 20 seconds')), 20_000).unref(); });

const only = process.argv[2];
for (const [flow, run] of Object.entries(flows)) {
  if (only && !flow.includes(only)) continue;
  try {
    await Promise.race([run(), late()]);
    console.log(JSON.stringify({ flow, ok: true }));
  } catch (error) {
    const told = [error.code, error.error, error.error_description, error.message, error.cause?.message, JSON.stringify(error.cause ?? null)?.slice(0, 600)];
    console.log(JSON.stringify({ flow, ok: false, error: `${told.filter(Boolean).join(' | ')}\n${error.stack?.split('\n').slice(1, 6).join('\n')}` }));
  }
}
process.exit();
