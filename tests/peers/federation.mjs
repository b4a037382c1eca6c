// The peer of tests/flows/test_federation_peer.py: npm @openid-federation/core.
//
//   node federation.mjs      prints {"url": …}, then answers each line of its standard input with a line
//
// {"resolve": entity, "anchors": {id: jwks}}   what chains it finds, and the metadata each resolves to
// {"say": {"name": …, "hints": […], "metadata": {…}, "below": [{"sub", "jwks", …claims}]}}
//                                              serve an entity of its own at /name; answers its id and keys
import http from 'node:http';
import readline from 'node:readline';
import { createPrivateKey, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { compactVerify, importJWK } from 'jose';
import { createEntityConfiguration, createEntityStatement, resolveTrustChains } from '@openid-federation/core';

const KIND = 'application/entity-statement+jwt';
const entities = new Map();

const signJwtCallback = async ({ toBeSigned, jwk }) => {
  const key = [...entities.values()].find((one) => one.jwk.kid === jwk.kid).key;
  return new Uint8Array(signWith('sha256', toBeSigned, { key: createPrivateKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }));
};

// The library leaves to its caller which keys an anchor has: the ones that were given out of band.
const verifier = (anchors) => async ({ jwt, jwk, claims }) => {
  const known = anchors[claims.iss];
  if (known && !known.keys.some((key) => key.kid === jwk.kid && key.x === jwk.x && key.y === jwk.y)) return false;
  try {
    await compactVerify(jwt, await importJWK(jwk, jwk.alg ?? 'ES256'));
    return true;
  } catch {
    return false;
  }
};

const times = () => {
  const now = Math.floor(Date.now() / 1000);
  return { iat: now, exp: now + 3600 };
};
const header = (jwk) => ({ typ: 'entity-statement+jwt', alg: 'ES256', kid: jwk.kid });

const server = http.createServer(async (request, response) => {
  const address = new URL(request.url, url);
  const [, name, ...rest] = address.pathname.split('/');
  const entity = entities.get(name);
  const path = rest.join('/');
  let token;
  if (entity && path === '.well-known/openid-federation') {
    const claims = { iss: entity.id, sub: entity.id, ...times(), jwks: { keys: [entity.jwk] }, metadata: entity.metadata };
    if (entity.hints) claims.authority_hints = entity.hints;
    token = await createEntityConfiguration({ header: header(entity.jwk), claims, signJwtCallback });
  } else if (entity && path === 'fetch') {
    const below = entity.below.find((one) => one.sub === address.searchParams.get('sub'));
    if (below) {
      const claims = { iss: entity.id, ...times(), ...below };
      token = await createEntityStatement({ header: header(entity.jwk), jwk: entity.jwk, claims, signJwtCallback });
    }
  }
  response.writeHead(token ? 200 : 404, { 'content-type': token ? KIND : 'application/json' });
  response.end(token ?? '{"error":"not_found"}');
});
await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
const url = `http://127.0.0.1:${server.address().port}`;

const say = ({ name, hints, metadata, below = [] }) => {
  const { privateKey, publicKey } = entities.get(name)?.pair ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: `${name}-key`, alg: 'ES256', use: 'sig' };
  const id = `${url}/${name}`;
  const federation_entity = below.length ? { federation_entity: { federation_fetch_endpoint: `${id}/fetch` } } : {};
  entities.set(name, {
    id, hints, below, jwk, key: privateKey.export({ format: 'jwk' }), pair: { privateKey, publicKey },
    metadata: { ...federation_entity, ...metadata },
  });
  return { id, jwks: { keys: [jwk] } };
};

const resolve = async (entityId, anchors) => {
  const found = await resolveTrustChains({
    entityId, trustAnchorEntityIds: Object.keys(anchors), verifyJwtCallback: verifier(anchors),
  });
  return found.map((one) => ({
    anchor: one.trustAnchorEntityConfiguration.sub,
    statements: one.chain.map(({ iss, sub }) => [iss, sub]),
    metadata: one.resolvedLeafMetadata,
  }));
};

console.log(JSON.stringify({ url }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let said;
  try {
    said = asked.say ? say(asked.say) : { chains: await resolve(asked.resolve, asked.anchors) };
  } catch (error) {
    said = { chains: [], error: error.message };
  }
  console.log(JSON.stringify(said));
}
process.exit();
