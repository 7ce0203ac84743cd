// The line to the server: one long answer that brings everything, and short requests.

/** @import { Contact, Identity, SendAnswer, Stanza } from './surface.js' */

const RETRY_FIRST = 250;
const RETRY_LONGEST = 5000;

export class Unlinked extends Error {}

export class Wire {
  /** @param {Identity} identity */
  constructor(identity) {
    this.identity = identity;
    this.linked = false;
  }

  /**
   * Stay online, again and again, until the server says that this browser is not linked.
   * @param {() => Promise<string[]>} unacked
   * @param {(stanza: Stanza) => void} take
   * @param {(online: boolean) => void} line
   */
  async run(unacked, take, line) {
    for (let pause = RETRY_FIRST; ; pause = Math.min(pause * 2, RETRY_LONGEST)) {
      try {
        const body = { ...this.#greeting(), unacked: this.linked ? await unacked() : [] };
        const response = await this.#post('/wire/stream', body);
        line(true);
        pause = RETRY_FIRST;
        for await (const text of lines(response)) take(JSON.parse(text));
      } catch (error) {
        if (error instanceof Unlinked) return take({ type: 'logout' });
      }
      line(false);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async newCodes() {
    await this.#post('/wire/codes', this.#greeting());
  }

  /** @param {string} number @returns {Promise<Contact | null>} */
  async exists(number) {
    return (await (await this.#post('/wire/exists', { number })).json()).contact;
  }

  /** @param {string} id @param {string} lid @param {string} body @returns {Promise<SendAnswer>} */
  async send(id, lid, body) {
    return (await this.#post('/wire/send', { id, lid, body })).json();
  }

  async logout() {
    await this.#post('/wire/logout', {});
  }

  #greeting() {
    const { device, secret, staticKeyPair, identityKeyPair, secretKey } = this.identity;
    return { device, secret, keys: [staticKeyPair, identityKeyPair, secretKey].join(','), linked: this.linked };
  }

  /** @param {string} path @param {unknown} body */
  async #post(path, body) {
    const { device, secret } = this.identity;
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-device': `${device}.${secret}` },
      body: JSON.stringify(body),
    });
    if (response.status === 401) throw new Unlinked();
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response;
  }
}

/** @param {Response} response */
async function* lines(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
