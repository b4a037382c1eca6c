// The peer of tests/flows/test_differential.py: npm oidc-provider with the same four clients as ours.
//
//   CLIENT_SECRET=… node judge.mjs    prints {"url": …} and answers until its standard input ends
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const server = http.createServer();
await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
const url = `http://127.0.0.1:${server.address().port}`;
const jwk = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'es' };
const common = {
  redirect_uris: ['https://clinic.example/cb'], response_types: ['code'], id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256',
  scope: 'openid profile offline_access read',
};
const provider = new Provider(url, {
  clients: [
    { ...common, client_id: 'diff', client_secret: process.env.CLIENT_SECRET, token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'] },
    { ...common, client_id: 'pub', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] },
    { ...common, client_id: 'counter', client_secret: process.env.CLIENT_SECRET, token_endpoint_auth_method: 'client_secret_basic',
      backchannel_token_delivery_mode: 'poll',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code', 'urn:openid:params:grant-type:ciba'] },
    { ...common, client_id: 'screen', token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'] },
  ],
  jwks: { keys: [jwk] },
  cookies: { keys: ['one-key-to-sign-the-cookies-of-a-test'] },
  scopes: ['openid', 'profile', 'offline_access', 'read'],
  pkce: { required: () => true },
  findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  features: {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    ciba: {
      enabled: true, deliveryModes: ['poll'], processLoginHint: async (ctx, hint) => (hint === 'hana' ? 'hana' : undefined),
      processLoginHintToken: async () => undefined, verifyUserCode: async () => {}, validateRequestContext: async () => {},
      triggerAuthenticationDevice: async () => {},
    },
    deviceFlow: { enabled: true },
    dPoP: { enabled: true },
    introspection: { enabled: true },
    jwtResponseModes: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    registration: { enabled: true },
    requestObjects: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: () => { throw new Error('none'); } },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
});
server.on('request', provider.callback());
console.log(JSON.stringify({ url }));
process.stdin.on('end', () => process.exit()).resume();
