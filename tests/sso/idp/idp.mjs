// A real OpenID provider on loopback for the tests: idp.mjs PORT REDIRECT_URI...
// Everybody can sign in, with any password: alice is the subject "alice", alice@example.com.
// "ready" is printed when it listens. Each line on standard input is a command, answered by one line:
//   rotate     other signing keys, at once
//   away       nobody is answered any more
//   back       everybody is again, as before
//   hold       who has signed in stays here, and reads where they would have been sent
//   let        nobody does any more
//   leave NAME this account is no more; its tokens are worth nothing
//   come NAME  it is there again
//   revoked    answered by how many grants were given back so far
//   tell JSON  claims from now on, over the usual ones: tell {"email_verified": false}
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, ...redirectUris] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
let told = {}, revoked = 0;
const gone = new Set();

function signingKey(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), use: 'sig', alg };
}

// Of each way to sign there is a client: what the token says is chosen by us, never by the token.
function client(id, alg) {
  return {
    client_id: id, client_secret: `secret of ${id}`, redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token'], id_token_signed_response_alg: alg,
  };
}

function account(login) {
  return {
    accountId: login,
    claims: () => ({
      sub: login, email: `${login}@example.com`, email_verified: true, name: login,
      groups: login === 'alice' ? ['ops', 'everyone'] : ['everyone'], ...told,
    }),
  };
}

function makeProvider() {
  const provider = new Provider(issuer, {
    clients: [client('peergate', 'RS256'), client('peergate-es', 'ES256')],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    conformIdTokenClaims: false,
    cookies: { keys: [randomBytes(16).toString('hex')] },
    features: { revocation: { enabled: true } },
    findAccount: (_, id) => gone.has(id) ? undefined : account(id),
    // One client with tokens that change each time, one with those that stay.
    rotateRefreshToken: (ctx) => ctx.oidc.client.clientId === 'peergate',
    jwks: { keys: [signingKey('rsa', { modulusLength: 2048 }, 'RS256'), signingKey('ec', { namedCurve: 'P-256' }, 'ES256')] },
    pkce: { required: () => true },
    ttl: { Session: 3600, Grant: 3600, Interaction: 600, AccessToken: 600, IdToken: 600, RefreshToken: 3600 },
  });
  provider.on('grant.revoked', () => { revoked += 1; });
  provider.on('server_error', (_, error) => console.error(error));
  return provider;
}

let handle = makeProvider().callback();
let away = false, held = false;

function hold(response) {
  const end = response.end;
  response.end = function (...rest) {
    const target = response.getHeader('location');
    if (!redirectUris.some((uri) => target?.startsWith(uri))) return end.apply(this, rest);
    response.statusCode = 200;
    response.removeHeader('location');
    response.removeHeader('content-length');
    response.setHeader('content-type', 'text/plain');
    return end.call(this, target);
  };
}

const server = createServer((request, response) => {
  if (held) hold(response);
  if (away) request.socket.destroy();
  else handle(request, response);
});

const commands = {
  away: () => { away = true; },
  back: () => { away = false; },
  come: (name) => { gone.delete(name); },
  leave: (name) => { gone.add(name); },
  revoked: () => String(revoked),
  hold: () => { held = true; },
  let: () => { held = false; },
  rotate: () => { handle = makeProvider().callback(); },
  tell: (json) => { told = JSON.parse(json); },
};

server.listen(Number(port), '127.0.0.1');
await once(server, 'listening');
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...rest] = line.split(' ');
  console.log(commands[name](rest.join(' ')) || 'done');
}
process.exit(0);
