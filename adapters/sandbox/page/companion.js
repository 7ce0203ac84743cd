// The linked browser itself: pairing, the stream, the outbox. What wpp.js offers, this does.

/** @import { Contact, Stanza } from './stanzas.js' */
/** @import { ChatRow, Events, Identity, MessageRow, Session } from './surface.js' */

import { Codes, newIdentity } from './codes.js';
import { Collection } from './collection.js';
import { Emitter } from './events.js';
import { Faults } from './faults.js';
import { key, newId, wid } from './ids.js';
import { Inbox } from './inbox.js';
import { Outbox } from './outbox.js';
import { Store } from './store.js';
import { Wire } from './wire.js';

/** @typedef {'QR' | 'SYNCING' | 'MAIN' | 'OFFLINE' | 'CONFLICT' | 'TOS_BLOCK' | 'DEPRECATED_VERSION'} Mode */
/** @typedef {'OFFLINE' | 'PAIRING' | 'SYNCING' | 'RESUMING' | 'NORMAL'} Info */

const SYNC_SECONDS = 0.15;

export class Companion {
  events = new Emitter();
  /** @type {Mode} */ #mode = 'OFFLINE';
  /** @type {Info} */ info = 'OFFLINE';
  online = false;
  mainReady = false;
  /** @type {Contact | null} */ me = null;
  outbox = new Outbox(this);
  #inbox = new Inbox(this);
  /** @type {Promise<void>} */ #taking = Promise.resolve();
  /** What the view does when anything changed. */ changed = () => {};

  /** @param {Store} store @param {Identity} identity @param {Session | undefined} session @param {ChatRow[]} chats */
  constructor(store, identity, session, chats) {
    this.store = store;
    this.wire = new Wire(identity);
    this.faults = new Faults(this);
    this.wire.linked = Boolean(session);
    this.codes = new Codes(identity, () => this.#codeChanged());
    this.collection = new Collection(store, chats, () => this.changed());
    this.me = session?.me ?? null;
    if (!session) this.#stream('QR', 'PAIRING');
  }

  static async open() {
    const store = await Store.open();
    const session = await store.session();
    return new Companion(store, session ?? newIdentity(newId()), session, await store.chats());
  }

  run() {
    const unacked = async () => (await this.store.unread()).map((row) => row.id);
    return this.wire.run(unacked, (stanza) => this.#enqueue(stanza), (online) => this.#line(online));
  }

  get linked() {
    return this.wire.linked;
  }

  get mode() {
    return (this.linked && this.faults.mode) || this.#mode;
  }

  get authCode() {
    return this.linked ? null : this.codes.current;
  }

  /** @param {MessageRow} row */
  message(row) {
    return this.collection.message(row, this.me);
  }

  /** Who a number or a linked id stands for: in a chat, in the address book or a group, or on WhatsApp at all. @param {string} id */
  async person(id) {
    const known = this.collection.chat(id);
    if (known) return known;
    const { user, server } = wid(id);
    const [contacts, groups] = await Promise.all([this.wire.contacts(), this.wire.groups()]);
    const people = [...contacts, ...groups.flatMap((group) => group.participants)];
    return people.find(({ lid, number }) => (server === 'lid' ? lid === user : number === `+${user}`)) ?? this.find(id);
  }

  /** The chat of a number's or a linked id. @param {string} id */
  async find(id) {
    const known = this.collection.chat(id);
    if (known) return known;
    const { user, server } = wid(id);
    const contact = server === 'c.us' ? await this.wire.chat(`+${user}`) : null;
    if (!contact) throw new Error('No LID for user');
    return this.collection.chatOf(contact);
  }

  /** What the server brings is taken in order, one by one. @param {Stanza} stanza */
  #enqueue(stanza) {
    this.#taking = this.#taking.then(() => this.#take(stanza)).catch((error) => console.error(`${stanza.type} failed`, error));
  }

  /** A file that was sent or came in. @param {string} digest @returns {Promise<Blob>} */
  async file(digest) {
    const kept = await this.store.file(digest);
    if (kept) return kept;
    const fetched = await this.wire.download(digest);
    await this.store.saveFile(digest, fetched);
    return fetched;
  }

  // -- QR codes ----------------------------------------------------------------------------------------------

  async refresh() {
    if (!this.linked) await this.wire.newCodes();
  }

  #codeChanged() {
    this.events.emit('conn.auth_code_change', this.authCode);
    if (this.codes.idle && !this.linked) this.events.emit('conn.qrcode_idle', undefined);
    this.changed();
  }

  async logout() {
    await this.wire.logout();
  }

  // -- what the server says ----------------------------------------------------------------------------------

  /** @param {Stanza} stanza */
  async #take(stanza) {
    switch (stanza.type) {
      case 'codes':
        this.codes.rotate(stanza.refs, stanza.first, stanza.next);
        this.events.emit('conn.require_auth', undefined);
        return;
      case 'paired':
        return this.#paired(stanza.me);
      case 'online':
        this.me = stanza.me;
        return this.#sync('RESUMING');
      case 'acks':
        return this.outbox.acks(stanza.acks);
      case 'receipt':
        return this.outbox.receipt(key(true, `${stanza.lid}@lid`, stanza.id)._serialized, stanza.ack);
      case 'message':
        return this.#inbox.message(stanza);
      case 'vote':
        return this.#inbox.vote(stanza);
      case 'faults':
        return this.#faulty(stanza);
      case 'logout':
        return this.#unlinked(/** @type {Events['conn.logout_reason']} */ (stanza.reason ?? 'unknown_companion'));
      case 'forgotten':
        await this.store.wipe();
        return location.reload();
      case 'reload':
        return location.reload();
    }
  }

  /** @param {Contact} me */
  async #paired(me) {
    await this.store.saveSession({ ...this.wire.identity, me });
    this.wire.linked = true;
    this.me = me;
    this.codes.stop();
    this.events.emit('conn.authenticated', undefined);
    await this.#sync('SYNCING');
  }

  /** @param {Info} info */
  async #sync(info) {
    this.#stream('SYNCING', info);
    await new Promise((resolve) => setTimeout(resolve, SYNC_SECONDS * 1000));
    if (!this.linked || !this.online) return;
    const first = !this.mainReady;
    this.mainReady = true;
    this.#stream('MAIN', 'NORMAL');
    if (first) this.events.emit('conn.main_ready', undefined);
  }

  /** Lasting faults change what the stream shows. @param {Stanza & {type: 'faults'}} stanza */
  #faulty({ armed, change }) {
    const before = this.mode;
    this.faults.armed = new Set(armed);
    if (this.mode !== before) this.#stream(this.#mode, this.info);
    return this.linked ? this.wire.heard(change) : undefined;
  }

  /** @param {Events['conn.logout_reason']} reason */
  async #unlinked(reason) {
    await this.store.wipe();
    this.events.emit('conn.logout_reason', reason);
    this.events.emit('conn.logout', undefined);
    this.wire.linked = false;
    this.#stream('QR', 'PAIRING');
    location.reload();
  }

  /** @param {boolean} online */
  #line(online) {
    this.online = online;
    this.events.emit('conn.online', online);
    if (!online) this.#stream(this.linked ? 'OFFLINE' : 'QR', this.linked ? 'OFFLINE' : 'PAIRING');
    this.changed();
  }

  /** @param {Mode} mode @param {Info} info */
  #stream(mode, info) {
    this.#mode = mode;
    this.info = info;
    this.events.emit('conn.stream_mode_changed', this.mode);
    this.events.emit('conn.stream_info_changed', info);
    this.changed();
  }
}

