// The profile's memory in IndexedDB: the session, the chats, the messages and their files.

/** @import { ChatRow, MessageRow, Session } from './surface.js' */

import { text } from './content.js';
import { DuplicateMessageError } from './ids.js';

const NAME = 'sandbox';
const VERSION = 2;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** In the first version each message was a text. @param {IDBObjectStore} messages */
function onlyTexts(messages) {
  const request = messages.openCursor();
  request.onsuccess = () => {
    const cursor = request.result;
    if (!cursor) return;
    cursor.update({ ...cursor.value, content: text(cursor.value.body), quoted: null, votes: [] });
    cursor.continue();
  };
}

export class Store {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  static async open() {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) {
        request.result.createObjectStore('session');
        request.result.createObjectStore('chats', { keyPath: 'lid' });
        const messages = request.result.createObjectStore('messages', { keyPath: 'key' });
        messages.createIndex('chat', ['chat', 't']);
        messages.createIndex('ack', 'ack');
      } else if (request.transaction) onlyTexts(request.transaction.objectStore('messages'));
      request.result.createObjectStore('files');
    };
    return new Store(await result(request));
  }

  /** @returns {Promise<Session | undefined>} */
  session() {
    return result(this.database.transaction('session').objectStore('session').get('me'));
  }

  /** @param {Session} session */
  async saveSession(session) {
    const transaction = this.database.transaction('session', 'readwrite', { durability: 'strict' });
    transaction.objectStore('session').put(session, 'me');
    await committed(transaction);
  }

  /** Everything goes: this browser is not linked any more. */
  async wipe() {
    const names = Array.from(this.database.objectStoreNames);
    const transaction = this.database.transaction(names, 'readwrite', { durability: 'strict' });
    for (const name of names) transaction.objectStore(name).clear();
    await committed(transaction);
  }

  /** @returns {Promise<ChatRow[]>} */
  chats() {
    return result(this.database.transaction('chats').objectStore('chats').getAll());
  }

  /**
   * A new row, with its chat and its file; a second one with the same key is refused.
   * @param {MessageRow} row @param {ChatRow} chat @param {Blob} [file]
   */
  async add(row, chat, file) {
    const transaction = this.database.transaction(['messages', 'chats', 'files'], 'readwrite');
    transaction.objectStore('messages').add(row);
    transaction.objectStore('chats').put(chat);
    if (file && 'media' in row.content) transaction.objectStore('files').put(file, row.content.media);
    try {
      await committed(transaction);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'ConstraintError') throw new DuplicateMessageError();
      throw error;
    }
  }

  /** A chat, its messages, and the files that no other message has. @param {string} lid */
  async forget(lid) {
    const transaction = this.database.transaction(['messages', 'chats', 'files'], 'readwrite', { durability: 'strict' });
    const messages = transaction.objectStore('messages');
    transaction.objectStore('chats').delete(lid);
    /** @type {MessageRow[]} */
    const rows = await result(messages.getAll());
    const media = (/** @type {MessageRow} */ { content }) => ('media' in content ? [content.media] : []);
    const [gone, left] = [rows.filter(({ chat }) => chat === lid), rows.filter(({ chat }) => chat !== lid)];
    const needed = new Set(left.flatMap(media));
    for (const { key } of gone) messages.delete(key);
    for (const digest of gone.flatMap(media)) if (!needed.has(digest)) transaction.objectStore('files').delete(digest);
    await committed(transaction);
  }

  /** @param {MessageRow} row */
  async update(row) {
    const transaction = this.database.transaction('messages', 'readwrite');
    transaction.objectStore('messages').put(row);
    await committed(transaction);
  }

  /** @param {string} digest @returns {Promise<Blob | undefined>} */
  file(digest) {
    return result(this.database.transaction('files').objectStore('files').get(digest));
  }

  /** @param {string} digest @param {Blob} file */
  async saveFile(digest, file) {
    const transaction = this.database.transaction('files', 'readwrite');
    transaction.objectStore('files').put(file, digest);
    await committed(transaction);
  }

  /** @param {ChatRow} chat */
  async saveChat(chat) {
    const transaction = this.database.transaction('chats', 'readwrite');
    transaction.objectStore('chats').put(chat);
    await committed(transaction);
  }

  /** @param {string} key @returns {Promise<MessageRow | undefined>} */
  message(key) {
    return result(this.database.transaction('messages').objectStore('messages').get(key));
  }

  /** The last messages of a chat, oldest first. @param {string} lid @param {number} count */
  async lastOf(lid, count) {
    /** @type {MessageRow[]} */
    const rows = [];
    const index = this.database.transaction('messages').objectStore('messages').index('chat');
    const request = index.openCursor(IDBKeyRange.bound([lid, 0], [lid, Infinity]), 'prev');
    await new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor || rows.length >= count) return resolve(undefined);
        rows.push(cursor.value);
        cursor.continue();
      };
    });
    return rows.reverse();
  }

  /** Our own messages that nobody has read yet, as far as we know. @returns {Promise<MessageRow[]>} */
  async unread() {
    const index = this.database.transaction('messages').objectStore('messages').index('ack');
    /** @type {MessageRow[]} */
    const rows = await result(index.getAll(IDBKeyRange.bound(0, 2), 2000));
    return rows.filter((row) => row.fromMe && !row.isSendFailure);
  }
}
