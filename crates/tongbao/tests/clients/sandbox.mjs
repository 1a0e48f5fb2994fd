// What the Node conformance scripts share: the sandbox's control paths and a local receiver of
// notifications. It verifies nothing; that is left to the published libraries that the scripts
// load.

import http from 'node:http';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = process.env.TONGBAO_TEST_NODE_MODULES
  ?? path.join(here, '../../../../target/clients/node/node_modules');

/** Loads an npm package from where `cargo xtask test` put it. */
export const load = createRequire(path.join(path.resolve(modules), 'here.js'));

const WAIT_MS = 15_000;

/** Throws with `what` and the bytes seen, unless `condition` holds. */
export function check(condition, what, ...seen) {
  if (condition) return;
  const show = item => (typeof item === 'string' ? item : JSON.stringify(item));
  throw new Error(what + seen.map(item => `\n  seen: ${show(item)}`).join(''));
}

/** One JSON call; gives the status and the decoded body, also of an error. */
export async function call(url, {body, key, method} = {}) {
  const headers = {'content-type': 'application/json'};
  if (key) headers.authorization = `Bearer ${key}`;
  const reply = await fetch(url, {
    method: method ?? (body ? 'POST' : 'GET'),
    headers,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(WAIT_MS),
  });
  const text = await reply.text();
  return {status: reply.status, body: text ? JSON.parse(text) : null};
}

/** All that an SDK needs to be a merchant in the sandbox. */
export async function credentials(sandbox) {
  const {status, body} = await call(`${sandbox}/_sandbox/credentials`);
  check(status === 200, 'GET /_sandbox/credentials answers 200', status, body);
  return body;
}

/** Plays the payer. */
export async function pay(sandbox, what) {
  const {status, body} = await call(`${sandbox}/_sandbox/pay`, {body: what});
  check(status === 200, `the payer can pay ${JSON.stringify(what)}`, status, body);
  return body;
}

/** Moves the sandbox's clock. */
export async function advance(sandbox, by) {
  const {status, body} = await call(`${sandbox}/_sandbox/clock`, {body: {advance: by}});
  check(status === 200, `the clock moves by ${by}`, status, body);
}

/** What the payer's phone shows to a merchant who scans. */
export async function authCode(sandbox, provider) {
  const {status, body} = await call(`${sandbox}/_sandbox/auth_codes`);
  check(status === 200, 'GET /_sandbox/auth_codes answers 200', status, body);
  return body[provider].auth_code;
}

/** An order number that no earlier run used. */
export function number(prefix) {
  const time = BigInt(Date.now()) * 1000n + (process.hrtime.bigint() % 1000n);
  return prefix + time;
}

/** The error that `promise` fails with; it is a disagreement if it does not fail. */
export async function failure(promise, what) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} should have failed`);
}

/** An HTTP server on a free port that keeps what it is sent and answers as `reply` says. */
export async function receiver(reply) {
  const messages = [];
  const waiting = [];
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const message = {headers: request.headers, body: Buffer.concat(parts).toString('utf8')};
    const {status = 200, body = ''} = await reply(message);
    response.writeHead(status, {'content-type': 'text/plain'}).end(body);
    const next = waiting.shift();
    if (next) next(message);
    else messages.push(message);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  const next = async what => {
    if (messages.length) return messages.shift();
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`${what} did not come within ${WAIT_MS / 1000} s`));
      const timer = setTimeout(late, WAIT_MS);
      waiting.push(message => {
        clearTimeout(timer);
        resolve(message);
      });
    });
  };
  return {url: `http://127.0.0.1:${server.address().port}/notify`, next};
}

/** Runs a script; at the first disagreement prints it and exits with 1. */
export async function main(name, run) {
  try {
    await run(...process.argv.slice(2).map(argument => argument.replace(/\/$/, '')));
  } catch (error) {
    console.error(`${name}: ${error.stack ?? error}`);
    process.exit(1);
  }
  console.log(`${name}: agrees`);
  process.exit(0);
}
