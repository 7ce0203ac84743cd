// Our own messages on their way: a row first, then the file, then the wire; and how far each got.

/** @import { Companion } from './companion.js' */
/** @import { Content } from './stanzas.js' */
/** @import { ChatRow, MessageRow } from './surface.js' */

import { words } from './content.js';
import { DuplicateMessageError, key, newId, parseKey, WppError } from './ids.js';

/** @typedef {'OK' | 'ERROR_UNKNOWN' | 'ERROR_UPLOAD'} Result */
/** @typedef {{messageId?: string | undefined, quoted?: string | null, file?: File | undefined}} How */

const FAILED = -1;

export class Outbox {
  /** @type {Map<string, {row: MessageRow, settle: (result: Result) => void}>} */ #waiting = new Map();

  /** @param {Companion} companion */
  constructor(companion) {
    this.companion = companion;
  }

  /**
   * One message: its row first, then the wire, as WhatsApp Web does it.
   * @param {ChatRow} chat @param {Content} content @param {How} how
   */
  async send(chat, content, { messageId, quoted = null, file }) {
    const { collection, events, faults } = this.companion;
    const id = messageId === undefined ? key(true, `${chat.lid}@lid`, newId()) : parseKey(messageId);
    if (!id.fromMe) throw new WppError('message_key_is_not_from_me', 'Message key is not from me');
    if (id.remote.user !== chat.lid) {
      throw new WppError('message_key_remote_id_is_not_same_of_chat', 'Message key remote ID is not same of chat');
    }
    /** @type {MessageRow} */
    const row = {
      key: id._serialized, chat: chat.lid, id: id.id, fromMe: true, body: words(content), content, quoted, votes: [],
      t: Date.now() / 1000, ack: 0, isSendFailure: false,
    };
    events.emit('chat.new_message', this.companion.message(row));
    const doubled = await faults.strikes('duplicate_refused', chat.number);
    if (doubled || collection.memory.has(row.key)) throw new DuplicateMessageError();
    await faults.strikes('killed_before_store', chat.number);
    await collection.add(row, chat, file);
    await faults.strikes('killed_after_store', chat.number);
    /** @type {Promise<Result>} */
    const result = new Promise((settle) => this.#waiting.set(row.id, { row, settle }));
    void this.#transmit(row);
    return { row, result };
  }

  /** The server's word on our own messages: those it never saw leave now, or failed with a former page. */
  async acks(/** @type {Record<string, number>} */ acks) {
    for (const row of await this.companion.store.unread()) {
      const level = acks[row.id];
      const waiting = this.#waiting.get(row.id);
      if (level === undefined) continue;
      if (level > 0) await this.receipt(row.key, level);
      else if (waiting) void this.#transmit(waiting.row); // the very row that its sender looks at
      else if (row.ack === 0) await this.#change(row, 0, true);
    }
  }

  /** @param {string} serialized @param {number} ack */
  async receipt(serialized, ack) {
    const row = await this.companion.collection.peek(serialized);
    if (!row || row.ack >= ack) return;
    await this.#change(row, ack, false);
    this.#settle(row.id, 'OK');
  }

  /** @param {MessageRow} row */
  async #transmit(row) {
    const { wire, store, faults, collection } = this.companion;
    let answer;
    try {
      if ('media' in row.content) {
        const file = await store.file(row.content.media);
        if (!file) return await this.#fail(row, 'ERROR_UPLOAD');
        await wire.upload(row.content.media, file);
      }
      answer = await wire.send(row);
    } catch {
      return; // the line is down: the outbox asks the server about it when it is back
    }
    if ('stuck' in answer) return;
    if ('hang' in answer) {
      this.#waiting.delete(row.id); // no receipt settles it either
      return;
    }
    if ('nack' in answer) return this.#fail(row, 'ERROR_UNKNOWN');
    if (answer.ack > row.ack) await this.#change(row, answer.ack, false); // else a receipt overtook it
    await faults.strikes('killed_after_ack', collection.chats.get(row.chat)?.number ?? '');
    this.#settle(row.id, 'OK');
  }

  /** @param {MessageRow} row @param {Result} result */
  async #fail(row, result) {
    await this.#change(row, FAILED, true);
    this.#settle(row.id, result);
  }

  /** @param {string} id @param {Result} result */
  #settle(id, result) {
    this.#waiting.get(id)?.settle(result);
    this.#waiting.delete(id);
  }

  /** @param {MessageRow} row @param {number} ack @param {boolean} failed */
  async #change(row, ack, failed) {
    row.ack = ack;
    row.isSendFailure = failed;
    await this.companion.store.update(row);
    const id = parseKey(row.key);
    this.companion.events.emit('chat.msg_ack_change', { ack, chat: id.remote, ids: [id] });
    this.companion.changed();
  }
}
