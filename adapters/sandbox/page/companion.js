// The linked browser itself: pairing, the stream, the outbox. What wpp.js offers, this does.

/** @import { ChatRow, Contact, Identity, MessageRow, Session, Stanza } from './surface.js' */

import { Codes, newIdentity } from './codes.js';
import { Collection } from './collection.js';
import { Emitter } from './events.js';
import { DuplicateMessageError, key, newId, parseKey, wid, WppError } from './ids.js';
import { Store } from './store.js';
import { Wire } from './wire.js';

/** @typedef {'QR' | 'SYNCING' | 'MAIN' | 'OFFLINE'} Mode */
/** @typedef {'OFFLINE' | 'PAIRING' | 'SYNCING' | 'RESUMING' | 'NORMAL'} Info */

const SYNC_SECONDS = 0.15;
const FAILED = -1;

export class Companion {
  events = new Emitter();
  /** @type {Mode} */ mode = 'OFFLINE';
  /** @type {Info} */ info = 'OFFLINE';
  online = false;
  mainReady = false;
  /** @type {Contact | null} */ me = null;
  /** @type {Map<string, {row: MessageRow, settle: (result: 'OK' | 'ERROR_UNKNOWN') => void}>} */ #outbox = new Map();
  /** What the view does when anything changed. */ changed = () => {};

  /** @param {Store} store @param {Identity} identity @param {Session | undefined} session @param {ChatRow[]} chats */
  constructor(store, identity, session, chats) {
    this.store = store;
    this.wire = new Wire(identity);
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
    return this.wire.run(unacked, (stanza) => void this.#take(stanza), (online) => this.#line(online));
  }

  get linked() {
    return this.wire.linked;
  }

  get authCode() {
    return this.linked ? null : this.codes.current;
  }

  /** @param {MessageRow} row */
  message(row) {
    return this.collection.message(row, this.me);
  }

  /** The chat of a number's or a linked id. @param {string} id */
  async find(id) {
    const known = this.collection.chat(id);
    if (known) return known;
    const { user, server } = wid(id);
    const contact = server === 'c.us' ? await this.wire.exists(`+${user}`) : null;
    if (!contact) throw new Error('No LID for user');
    return this.collection.chatOf(contact);
  }

  // -- messages -----------------------------------------------------------------------------------------------

  /**
   * One text: its row first, then the wire, as WhatsApp Web does it.
   * @param {ChatRow} chat @param {string} body @param {string | undefined} messageId
   */
  async send(chat, body, messageId) {
    const id = messageId === undefined ? key(true, `${chat.lid}@lid`, newId()) : parseKey(messageId);
    if (!id.fromMe) throw new WppError('message_key_is_not_from_me', 'Message key is not from me');
    if (id.remote.user !== chat.lid) {
      throw new WppError('message_key_remote_id_is_not_same_of_chat', 'Message key remote ID is not same of chat');
    }
    /** @type {MessageRow} */
    const row = {
      key: id._serialized, chat: chat.lid, id: id.id, fromMe: true, body,
      t: Date.now() / 1000, ack: 0, isSendFailure: false,
    };
    this.events.emit('chat.new_message', this.message(row));
    if (this.collection.memory.has(row.key)) throw new DuplicateMessageError();
    await this.collection.add(row, chat);
    /** @type {Promise<'OK' | 'ERROR_UNKNOWN'>} */
    const result = new Promise((settle) => this.#outbox.set(row.id, { row, settle }));
    void this.#transmit(row);
    return { row, result };
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
        return this.#acks(stanza.acks);
      case 'receipt':
        return this.#receipt(key(true, `${stanza.lid}@lid`, stanza.id)._serialized, stanza.ack);
      case 'message':
        return this.#received(stanza);
      case 'logout':
        return this.#unlinked();
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

  /** The server's word on our own messages: those it never saw leave now, or failed with a former page. */
  async #acks(/** @type {Record<string, number>} */ acks) {
    for (const row of await this.store.unread()) {
      const level = acks[row.id];
      if (level === undefined) continue;
      if (level > 0) await this.#receipt(row.key, level);
      else if (this.#outbox.has(row.id)) void this.#transmit(row);
      else if (row.ack === 0) await this.#change(row, 0, true);
    }
  }

  /** @param {string} serialized @param {number} ack */
  async #receipt(serialized, ack) {
    const row = await this.collection.peek(serialized);
    if (!row || row.ack >= ack) return;
    await this.#change(row, ack, false);
    this.#settle(row.id, 'OK');
  }

  /** @param {{id: string, at: number, body: string} & Contact} message */
  async #received({ id, at, body, ...contact }) {
    const chat = this.collection.chatOf(contact);
    chat.unread += 1;
    const serialized = key(false, `${chat.lid}@lid`, id)._serialized;
    const row = { key: serialized, chat: chat.lid, id, fromMe: false, body, t: at, ack: 2, isSendFailure: false };
    await this.collection.add(row, chat);
    this.events.emit('chat.new_message', this.message(row));
  }

  async #unlinked() {
    await this.store.wipe();
    this.events.emit('conn.logout_reason', 'unknown_companion');
    this.events.emit('conn.logout', undefined);
    this.wire.linked = false;
    this.#stream('QR', 'PAIRING');
    location.reload();
  }

  /** @param {MessageRow} row */
  async #transmit(row) {
    let answer;
    try {
      answer = await this.wire.send(row.id, row.chat, row.body);
    } catch {
      return; // the line is down: the outbox asks the server about it when it is back
    }
    if ('hang' in answer) {
      this.#outbox.delete(row.id); // no receipt settles it either
      return;
    }
    if ('nack' in answer) {
      await this.#change(row, FAILED, true);
      this.#settle(row.id, 'ERROR_UNKNOWN');
    } else {
      await this.#change(row, Math.max(row.ack, answer.ack), false);
      this.#settle(row.id, 'OK');
    }
  }

  /** @param {string} id @param {'OK' | 'ERROR_UNKNOWN'} result */
  #settle(id, result) {
    this.#outbox.get(id)?.settle(result);
    this.#outbox.delete(id);
  }

  /** @param {MessageRow} row @param {number} ack @param {boolean} failed */
  async #change(row, ack, failed) {
    row.ack = ack;
    row.isSendFailure = failed;
    await this.store.update(row);
    const id = parseKey(row.key);
    this.events.emit('chat.msg_ack_change', { ack, chat: id.remote, ids: [id] });
    this.changed();
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
    this.mode = mode;
    this.info = info;
    this.events.emit('conn.stream_mode_changed', mode);
    this.events.emit('conn.stream_info_changed', info);
    this.changed();
  }
}

