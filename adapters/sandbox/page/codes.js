// The QR codes: references that the server gave, each on show for its time, and the payload around them.

/** @import { Identity } from './surface.js' */

/** @param {number} size */
function random(size) {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(size))));
}

/** A browser that nobody knows yet. @param {string} device @returns {Identity} */
export function newIdentity(device) {
  return {
    device,
    secret: random(24),
    staticKeyPair: random(32),
    identityKeyPair: random(32),
    secretKey: random(32),
  };
}

export class Codes {
  /** When the code on show ends, in milliseconds since 1970; 0 without one. */ until = 0;
  /** The list has run out. */ idle = false;
  /** @type {string | null} */ #ref = null;
  /** @type {string[]} */ #rest = [];
  #timer = 0;

  /** @param {Identity} identity @param {() => void} changed another code, or none, is on show */
  constructor(identity, changed) {
    this.identity = identity;
    this.changed = changed;
  }

  /** What wa-js calls the auth code. */
  get current() {
    if (!this.#ref) return null;
    const { staticKeyPair, identityKeyPair, secretKey } = this.identity;
    const fullCode = [this.#ref, staticKeyPair, identityKeyPair, secretKey].join(',');
    return { type: /** @type {const} */ ('multidevice'), ref: this.#ref, staticKeyPair, identityKeyPair, secretKey, fullCode };
  }

  /** Show a list, one after another. @param {string[]} refs @param {number} first @param {number} next seconds */
  rotate(refs, first, next) {
    this.#rest = [...refs];
    this.#turn(first, next);
  }

  /** Nothing to scan any more. */
  stop() {
    this.#rest = [];
    this.#turn(0, 0);
    this.idle = false;
  }

  /** @param {number} seconds @param {number} next */
  #turn(seconds, next) {
    clearTimeout(this.#timer);
    this.#ref = this.#rest.shift() ?? null;
    this.idle = this.#ref === null;
    this.until = this.#ref ? Date.now() + seconds * 1000 : 0;
    if (this.#ref) this.#timer = window.setTimeout(() => this.#turn(next, next), seconds * 1000);
    this.changed();
  }
}
