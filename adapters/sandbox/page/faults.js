// Faults that the page itself commits; the server says which are armed, and counts how often each strikes.

/** @import { Companion } from './companion.js' */
/** @import { Events } from './surface.js' */

const GROWS_EVERY = 250;
const GROWTH = 16 * 1024 ** 2;
const GROWN = 16;
const PAIR_WITHIN = 500;
/** @type {(keyof Events)[]} */
const DISTURBED = ['chat.new_message', 'chat.msg_ack_change', 'chat.poll_response'];
/** @type {{[fault: string]: 'CONFLICT' | 'TOS_BLOCK' | 'DEPRECATED_VERSION'}} */
const MODES = { conflict: 'CONFLICT', tos_block: 'TOS_BLOCK', deprecated_version: 'DEPRECATED_VERSION' };

export class Faults {
  /** @type {Set<string>} */ armed = new Set();
  /** @type {Uint8Array[]} */ #grown = [];
  /** @type {(() => void)[]} */ #held = [];

  /** @param {Companion} companion */
  constructor(companion) {
    this.companion = companion;
    companion.events.through = (event, emit) => this.#disturb(event, emit);
    setInterval(() => this.#grow(), GROWS_EVERY);
  }

  /** Whether a fault strikes now, in a send to this number. @param {string} name @param {string} number */
  async strikes(name, number) {
    return this.armed.has(name) && this.companion.wire.strikes(name, number);
  }

  /** The stream mode that a lasting fault shows in the place of the true one. */
  get mode() {
    for (const [fault, mode] of Object.entries(MODES)) if (this.armed.has(fault)) return mode;
    return this.armed.has('stuck_loading') ? /** @type {const} */ ('SYNCING') : null;
  }

  /** @param {keyof Events} event @param {() => void} emit */
  #disturb(event, emit) {
    if (!DISTURBED.includes(event)) return emit();
    if (this.armed.has('events_dropped')) return;
    if (this.armed.has('events_doubled')) emit();
    if (!this.armed.has('events_shuffled')) return emit();
    this.#held.push(emit);
    if (this.#held.length === 1) setTimeout(() => this.#release(), PAIR_WITHIN);
    else this.#release();
  }

  /** A pair leaves, the later one first; one that stayed alone leaves alone. */
  #release() {
    for (const emit of this.#held.splice(0).reverse()) emit();
  }

  #grow() {
    if (!this.armed.has('memory_growth')) this.#grown = [];
    else if (this.#grown.length < GROWN) this.#grown.push(new Uint8Array(GROWTH).fill(1));
  }
}
