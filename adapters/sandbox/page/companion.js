// The linked browser itself: pairing, the message collection, the outbox. What wpp.js offers, this does.

/** @import { Chat, ChatRow, Contact, Identity, MessageRow, Msg, Session, Stanza } from './surface.js' */

import { Emitter } from './events.js';
import { DuplicateMessageError, key, newId, parseKey, wid, WppError } from './ids.js';
import { Store } from './store.js';
import { Wire } from './wire.js';

/** @typedef {'QR' | 'SYNCING' | 'MAIN' | 'OFFLINE'} Mode */
/** @typedef {'OFFLINE' | 'PAIRING' | 'SYNCING' | 'RESUMING' | 'NORMAL'} Info */

const SYNC_SECONDS = 0.15;
const FAILED = -1;

/** @param {number} size */
function random(size) {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(size))));
}

/** @returns {Identity} */
function newIdentity() {
  return {
    device: newId(),
    secret: random(24),
    staticKeyPair: random(32),
    identityKeyPair: random(32),
    secretKey: random(32),
  };
}

export class Companion {
  events = new Emitter();
  /** @type {Mode} */ mode = 'OFFLINE';
  /** @type {Info} */ info = 'OFFLINE';
  /** @type {string | null} the QR reference on show */ ref = null;
  /** When the reference on show ends, in milliseconds since 1970. */ refUntil = 0;
  idle = false;
  online = false;
  mainReady = false;
  /** @type {Contact | null} */ me = null;
  /** @type {Map<string, ChatRow>} */ chats = new Map();
  /** @type {Map<string, MessageRow>} messages in memory only: after a restart the rest is cold */ memory = new Map();
  /** @type {Map<string, {row: MessageRow, settle: (result: 'OK' | 'ERROR_UNKNOWN') => void}>} */ #outbox = new Map();
  /** @type {string[]} */ #refs = [];
  #refTimer = 0;
  /** What the view does when anything changed. */ changed = () => {};

  /** @param {Store} store @param {Identity} identity @param {Session | undefined} session */
  constructor(store, identity, session) {
    this.store = store;
    this.wire = new Wire(identity);
    this.wire.linked = Boolean(session);
    this.me = session?.me ?? null;
    if (!session) this.#stream('QR', 'PAIRING');
  }

  static async open() {
    const store = await Store.open();
    const session = await store.session();
    const companion = new Companion(store, session ?? newIdentity(), session);
    for (const chat of await store.chats()) companion.chats.set(chat.lid, chat);
    return companion;
  }

  run() {
    const unacked = async () => (await this.store.unread()).map((row) => row.id);
    return this.wire.run(unacked, (stanza) => void this.#take(stanza), (online) => this.#line(online));
  }

  get linked() {
    return this.wire.linked;
  }

  get authCode() {
    if (this.linked || !this.ref) return null;
    const { staticKeyPair, identityKeyPair, secretKey } = this.wire.identity;
    const fullCode = [this.ref, staticKeyPair, identityKeyPair, secretKey].join(',');
    return { type: /** @type {const} */ ('multidevice'), ref: this.ref, staticKeyPair, identityKeyPair, secretKey, fullCode };
  }

  // -- chats and messages ------------------------------------------------------------------------------------

  /** @param {string} id a number's or a linked id @returns {Promise<ChatRow>} */
  async find(id) {
    const { user, server } = wid(id);
    const known = this.chats.get(server === 'lid' ? user : '') ?? [...this.chats.values()].find((c) => c.number === `+${user}`);
    if (known) return known;
    const contact = server === 'c.us' ? await this.wire.exists(`+${user}`) : null;
    if (!contact) throw new Error('No LID for user');
    return this.#chat(contact);
  }

  /** @param {ChatRow} row @returns {Chat} */
  model(row) {
    const title = row.name || row.number;
    return { id: wid(`${row.lid}@lid`), name: title, formattedTitle: title, unreadCount: row.unread, t: row.t };
  }

  /** @param {MessageRow} row @returns {Msg} */
  message(row) {
    const me = wid(`${this.me?.lid}@lid`);
    const them = wid(row.chat + '@lid');
    return {
      id: parseKey(row.key),
      body: row.body,
      type: 'chat',
      t: row.t,
      ack: row.ack,
      isNewMsg: true,
      isSendFailure: row.isSendFailure,
      from: row.fromMe ? me : them,
      to: row.fromMe ? them : me,
    };
  }

  /** Bring rows of the profile into memory. @param {string} serialized */
  async warm(serialized) {
    const row = this.memory.get(serialized) ?? (await this.store.message(serialized));
    if (row) this.memory.set(serialized, row);
    return row;
  }

  /** @param {string} serialized */
  get(serialized) {
    const row = this.memory.get(serialized);
    if (!row) throw new WppError('msg_not_found', `Message ${serialized} not found`);
    return row;
  }

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
    if (this.memory.has(row.key)) throw new DuplicateMessageError();
    await this.#add(row, chat);
    /** @type {Promise<'OK' | 'ERROR_UNKNOWN'>} */
    const result = new Promise((settle) => this.#outbox.set(row.id, { row, settle }));
    void this.#transmit(row);
    return { row, result };
  }

  /** @param {ChatRow} chat */
  async open(chat) {
    for (const row of await this.store.lastOf(chat.lid, 200)) {
      if (!this.memory.has(row.key)) this.memory.set(row.key, row);
    }
    if (chat.unread) {
      chat.unread = 0;
      await this.store.saveChat(chat);
    }
    this.changed();
  }

  /** @param {ChatRow} chat */
  messagesOf(chat) {
    return [...this.memory.values()].filter((row) => row.chat === chat.lid).sort((a, b) => a.t - b.t);
  }

  // -- QR codes ----------------------------------------------------------------------------------------------

  async refresh() {
    if (!this.linked) await this.wire.newCodes();
  }

  async logout() {
    await this.wire.logout();
  }

  /** @param {string[]} refs @param {number} first @param {number} next seconds */
  #rotate(refs, first, next) {
    clearTimeout(this.#refTimer);
    this.#refs = refs.slice(1);
    this.idle = false;
    this.#show(refs[0] ?? null, first);
    const turn = () => {
      const ref = this.#refs.shift() ?? null;
      this.#show(ref, next);
      if (ref) this.#refTimer = window.setTimeout(turn, next * 1000);
      else {
        this.idle = true;
        this.events.emit('conn.qrcode_idle', undefined);
        this.changed();
      }
    };
    this.#refTimer = window.setTimeout(turn, first * 1000);
  }

  /** @param {string | null} ref @param {number} seconds */
  #show(ref, seconds) {
    this.ref = ref;
    this.refUntil = ref ? Date.now() + seconds * 1000 : 0;
    this.events.emit('conn.auth_code_change', this.authCode);
    this.changed();
  }

  // -- what the server says ----------------------------------------------------------------------------------

  /** @param {Stanza} stanza */
  async #take(stanza) {
    switch (stanza.type) {
      case 'codes':
        this.#rotate(stanza.refs, stanza.first, stanza.next);
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
    clearTimeout(this.#refTimer);
    await this.store.saveSession({ ...this.wire.identity, me });
    this.wire.linked = true;
    this.me = me;
    this.ref = null;
    this.events.emit('conn.auth_code_change', null);
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
    const row = this.memory.get(serialized) ?? (await this.store.message(serialized));
    if (!row || row.ack >= ack) return;
    await this.#change(row, ack, false);
    this.#settle(row.id, 'OK');
  }

  /** @param {{id: string, at: number, body: string} & Contact} message */
  async #received({ id, at, body, ...contact }) {
    const chat = this.#chat(contact);
    chat.unread += 1;
    const serialized = key(false, `${chat.lid}@lid`, id)._serialized;
    const row = { key: serialized, chat: chat.lid, id, fromMe: false, body, t: at, ack: 2, isSendFailure: false };
    await this.#add(row, chat);
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

  /** @param {MessageRow} row @param {ChatRow} chat */
  async #add(row, chat) {
    const updated = { ...chat, t: row.t, last: row.key };
    await this.store.add(row, updated);
    Object.assign(chat, updated);
    this.memory.set(row.key, row);
    this.changed();
  }

  /** @param {Contact} contact */
  #chat(contact) {
    const known = this.chats.get(contact.lid);
    if (known) {
      known.name = contact.name || known.name;
      return known;
    }
    /** @type {ChatRow} */
    const chat = { lid: contact.lid, number: contact.number, name: contact.name, t: 0, unread: 0, last: null };
    this.chats.set(chat.lid, chat);
    return chat;
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

