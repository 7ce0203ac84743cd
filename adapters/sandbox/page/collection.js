// Chats, and the messages in memory: after a restart these are cold until somebody warms them from the profile.

/** @import { Contact } from './stanzas.js' */
/** @import { Chat, ChatRow, MessageRow, Msg } from './surface.js' */
/** @import { Store } from './store.js' */

import { model as fields } from './content.js';
import { parseKey, wid, WppError } from './ids.js';

const OPENED = 200;

export class Collection {
  /** @type {Map<string, ChatRow>} */ chats = new Map();
  /** @type {Map<string, MessageRow>} */ memory = new Map();

  /** @param {Store} store @param {ChatRow[]} chats @param {() => void} changed */
  constructor(store, chats, changed) {
    this.store = store;
    this.changed = changed;
    for (const chat of chats) this.chats.set(chat.lid, chat);
  }

  /** A known chat by its linked id or its number's. @param {string} id */
  chat(id) {
    const { user, server } = wid(id);
    if (server === 'lid') return this.chats.get(user);
    return [...this.chats.values()].find((chat) => chat.number === `+${user}`);
  }

  /** The chat with somebody, made if need be. @param {Contact} contact @returns {ChatRow} */
  chatOf({ lid, number, name }) {
    const known = this.chats.get(lid);
    if (known) {
      known.name = name || known.name;
      return known;
    }
    const chat = { lid, number, name, t: 0, unread: 0, last: null };
    this.chats.set(lid, chat);
    return chat;
  }

  /** @param {ChatRow} row @returns {Chat} */
  model(row) {
    const title = row.name || row.number;
    return { id: wid(`${row.lid}@lid`), name: title, formattedTitle: title, unreadCount: row.unread, t: row.t };
  }

  /** @param {MessageRow} row @param {Contact | null} contact our own @returns {Msg} */
  message(row, contact) {
    const me = wid(`${contact?.lid}@lid`);
    const them = wid(`${row.chat}@lid`);
    return {
      id: parseKey(row.key),
      ...fields(row),
      t: row.t,
      ack: row.ack,
      isNewMsg: true,
      isSendFailure: row.isSendFailure,
      from: row.fromMe ? me : them,
      to: row.fromMe ? them : me,
    };
  }

  /** A message in memory. @param {string} serialized */
  get(serialized) {
    const row = this.memory.get(serialized);
    if (!row) throw new WppError('msg_not_found', `Message ${serialized} not found`);
    return row;
  }

  /** A message wherever it is, left there. @param {string} serialized */
  async peek(serialized) {
    return this.memory.get(serialized) ?? (await this.store.message(serialized));
  }

  /** A message brought into memory. @param {string} serialized */
  async warm(serialized) {
    const row = await this.peek(serialized);
    if (row) this.memory.set(serialized, row);
    return row;
  }

  /** A new row, on disk before in memory. @param {MessageRow} row @param {ChatRow} chat @param {Blob} [file] */
  async add(row, chat, file) {
    const updated = { ...chat, t: row.t, last: row.key };
    await this.store.add(row, updated, file);
    Object.assign(chat, updated);
    this.memory.set(row.key, row);
    this.changed();
  }

  /** A chat goes, with its messages. @param {string} lid */
  async forget(lid) {
    this.chats.delete(lid);
    for (const row of this.memory.values()) if (row.chat === lid) this.memory.delete(row.key);
    await this.store.forget(lid);
    this.changed();
  }

  /** A person opens a chat: its messages are warm, and read. @param {ChatRow} chat */
  async open(chat) {
    for (const row of await this.store.lastOf(chat.lid, OPENED)) {
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
}
