// The line to the server: one long answer that brings everything, and short requests.

/** @import { Contact, Group, SendAnswer, Stanza } from './stanzas.js' */
/** @import { Identity, MessageRow } from './surface.js' */

const RETRY_FIRST = 250;
const RETRY_LONGEST = 5000;

export class Unlinked extends Error {}

export class Wire {
  /** @param {Identity} identity */
  constructor(identity) {
    this.identity = identity;
    this.linked = false;
    this.started = true;
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
        this.started = false;
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

  /** The code that the phone of this number is to type. @param {string} number @returns {Promise<string>} */
  async linkCode(number) {
    const path = `/wire/link-code?phone=${encodeURIComponent(number)}`;
    return (await (await this.#post(path, this.#greeting())).json()).code;
  }

  /** @param {string} number @returns {Promise<Contact | null>} */
  async exists(number) {
    return (await (await this.#post('/wire/exists', { number })).json()).contact;
  }

  /** Whom the phone's address book knows. @returns {Promise<Contact[]>} */
  async contacts() {
    return (await (await this.#ask('/wire/contacts', {})).json()).contacts;
  }

  /** @returns {Promise<Group[]>} */
  async groups() {
    return (await (await this.#ask('/wire/groups', {})).json()).groups;
  }

  /** Somebody to open a chat with; null when no linked id is found. @param {string} number @returns {Promise<Contact | null>} */
  async chat(number) {
    return (await (await this.#post('/wire/chat', { number })).json()).contact;
  }

  /** @param {MessageRow} row @returns {Promise<SendAnswer>} */
  async send({ id, chat: lid, content, quoted }) {
    return (await this.#post('/wire/send', { id, lid, content, quoted })).json();
  }

  /** @param {string} digest @param {Blob} file */
  async upload(digest, file) {
    await this.#ask(`/wire/media/${digest}`, { method: 'PUT', body: file });
  }

  /** @param {string} digest */
  async download(digest) {
    return (await this.#ask(`/wire/media/${digest}`, {})).blob();
  }

  /** What came in up to this number is stored here. @param {number} mail */
  async got(mail) {
    await this.#post('/wire/got', { mail }).catch(() => {}); // it comes again
  }

  /** What is armed after this change is known here. @param {number} change */
  async heard(change) {
    await this.#post('/wire/heard', { change }).catch(() => {}); // who armed it has waited long enough
  }

  /** A chat was opened. @param {string} lid */
  async read(lid) {
    await this.#post('/wire/read', { lid }).catch(() => {}); // only a courtesy
  }

  /** @param {string} lid @param {number} seconds */
  async typing(lid, seconds) {
    await this.#post('/wire/typing', { lid, seconds });
  }

  /** @param {string} name @param {string} number @returns {Promise<boolean>} */
  async strikes(name, number) {
    return (await (await this.#post('/wire/fault', { name, number })).json()).strikes;
  }

  async logout() {
    await this.#post('/wire/logout', {});
  }

  #greeting() {
    const { device, secret, staticKeyPair, identityKeyPair, secretKey } = this.identity;
    return { device, secret, keys: [staticKeyPair, identityKeyPair, secretKey].join(','), linked: this.linked, started: this.started };
  }

  /** @param {string} path @param {unknown} body */
  #post(path, body) {
    return this.#ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  }

  /** @param {string} path @param {RequestInit} request */
  async #ask(path, request) {
    const { device, secret } = this.identity;
    const response = await fetch(path, { ...request, headers: { ...request.headers, 'x-device': `${device}.${secret}` } });
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
