// What others send to this account: messages, and votes in our polls. Each comes by numbered mail, once stored it is got.

/** @import { Companion } from './companion.js' */
/** @import { Stanza } from './stanzas.js' */
/** @import { MessageRow } from './surface.js' */

import { options, words } from './content.js';
import { DuplicateMessageError, key, parseKey, wid } from './ids.js';

export class Inbox {
  /** @param {Companion} companion */
  constructor(companion) {
    this.companion = companion;
  }

  /** @param {Stanza & {type: 'message'}} stanza */
  async message({ mail, id, at, content, quoted, number, lid, name }) {
    const { collection, events, wire } = this.companion;
    const chat = collection.chatOf({ number, lid, name });
    /** @type {MessageRow} */
    const row = {
      key: key(false, `${lid}@lid`, id)._serialized, chat: lid, id, fromMe: false, body: words(content), content, quoted,
      votes: [], t: at, ack: 2, isSendFailure: false,
    };
    try {
      chat.unread += 1;
      await collection.add(row, chat);
    } catch (error) {
      if (!(error instanceof DuplicateMessageError)) throw error;
      chat.unread -= 1; // the mail came again: it was stored by a page that could not say so
      return wire.got(mail);
    }
    await wire.got(mail);
    events.emit('chat.new_message', this.companion.message(row));
  }

  /** A vote replaces the voter's former one. @param {Stanza & {type: 'vote'}} stanza */
  async vote({ mail, id, lid, choices, at }) {
    const { collection, events, store, wire } = this.companion;
    const row = await collection.peek(key(true, `${lid}@lid`, id)._serialized);
    if (row?.content.kind === 'poll') {
      row.votes = choices;
      await store.update(row);
      // WhatsApp brings the chosen options themselves, each at the place of its number; wa-js' types say numbers.
      /** @type {any[]} */
      const selectedOptions = [];
      for (const option of options(row.content)) if (choices.includes(option.localId)) selectedOptions[option.localId] = option;
      const msgId = parseKey(row.key);
      events.emit('chat.poll_response', {
        msgId, chatId: msgId.remote, selectedOptions, timestamp: Math.round(at * 1000), sender: wid(`${lid}@lid`),
      });
      this.companion.changed();
    }
    await wire.got(mail);
  }
}
