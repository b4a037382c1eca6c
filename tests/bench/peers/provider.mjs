// The peer of `make bench`: npm oidc-provider as its manual shows it, in memory, nothing stored on disk.
//
//   node provider.mjs PORT
//
// One confidential client (bench, client_secret_basic); client credentials give JWTs for two resources, signed with
// EdDSA or ES256; the code flow needs PKCE; refresh tokens rotate. A session is signed in and a grant given without
// a password or a page (/interaction), so that what is measured is the protocol.
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const jwk = (type, options, extra) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...extra,
});

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'bench',
    client_secret: 'bench-secret-of-the-peer-which-is-long-enough-1234567',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['https://client.example/cb'],
    id_token_signed_response_alg: 'EdDSA',
  }],
  jwks: { keys: [jwk('ed25519', {}, { alg: 'EdDSA', kid: 'ed' }), jwk('ec', { namedCurve: 'P-256' }, { alg: 'ES256', kid: 'es' })] },
  cookies: { keys: ['one-key-to-sign-the-cookies-of-the-bench'] },
  enabledJWA: { idTokenSigningAlgValues: ['EdDSA', 'ES256'] },
  scopes: ['openid', 'offline_access', 'read'],
  claims: { openid: ['sub'] },
  pkce: { required: () => true },
  ttl: { AccessToken: 600, ClientCredentials: 600, Session: 86400, Grant: 86400, RefreshToken: 86400, AuthorizationCode: 60, IdToken: 600, Interaction: 600 },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => false,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'read', accessTokenTTL: 600, accessTokenFormat: 'jwt',
        jwt: { sign: { alg: resource.endsWith('es256') ? 'ES256' : 'EdDSA' } },
      }),
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
});
provider.on('server_error', (ctx, error) => console.error(error));

const answer = provider.callback();
http.createServer(async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  const { params, prompt, session } = await provider.interactionDetails(request, response);
  const accountId = session?.accountId ?? 'resident';
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope('openid offline_access');
  const result = { login: { accountId, acr: 'x', remember: true }, consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: prompt.name !== 'login' });
}).listen(port, '127.0.0.1', () => console.log(`listening on ${issuer}`));
