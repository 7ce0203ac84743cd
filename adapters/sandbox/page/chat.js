// WPP.chat: wa-js' chat functions on top of the companion, with their semantics as far as they could be measured.

/** @import { Companion } from './companion.js' */
/** @import { Content } from './stanzas.js' */
/** @import { ChatRow, ChatSurface, Options } from './surface.js' */

import { checkSize, digest, fileOf, kindOf, text } from './content.js';
import { parseKey, wid, WppError } from './ids.js';

/** @param {Companion} companion @returns {ChatSurface} */
export function chatSurface(companion) {
  const { collection } = companion;

  /** @param {unknown} id */
  const find = (id) => companion.find(String(id));

  /** @param {unknown} id @returns {Promise<ChatRow>} */
  async function found(id) {
    return find(id).catch(() => {
      throw new WppError('chat_not_found', `Chat not found for ${id}`);
    });
  }

  /** A chat that is open already. @param {unknown} id */
  function assertChat(id) {
    const chat = collection.chat(String(id));
    if (!chat) throw new WppError('chat_not_found', `Chat not found for ${id}`);
    return chat;
  }

  /** Whom a text or a caption calls. @param {{mentionedList?: unknown[]}} options @returns {{mentions?: string[]}} */
  const called = ({ mentionedList = [] }) => (mentionedList.length ? { mentions: mentionedList.map(mentioned) } : {});

  /** The number that somebody is mentioned by. @param {unknown} id */
  function mentioned(id) {
    const { user, server } = wid(String(id));
    if (server === 'c.us') return `+${user}`;
    const chat = collection.chats.get(user);
    if (!chat) throw new WppError('mentioned_is_not_user', 'Mentioned is not an user');
    return chat.number;
  }

  /** @param {ChatRow} chat @param {Content} content @param {Options} options @param {File} [file] */
  async function send(chat, content, options, file) {
    // Like the real one, it finds only messages that are warm.
    const quoted = options.quotedMsg === undefined ? null : collection.get(String(options.quotedMsg)).id;
    const { row, result } = await companion.outbox.send(chat, content, { messageId: options.messageId?.toString(), quoted, file });
    const messageSendResult = options.waitForAck === false ? null : await result;
    return {
      id: row.key,
      from: `${companion.me?.lid}@lid`,
      to: `${chat.lid}@lid`,
      ack: row.ack,
      sendMsgResult: messageSendResult && { messageSendResult, t: Math.floor(Date.now() / 1000) },
    };
  }

  return {
    find: async (id) => collection.model(await find(id)),
    // Like the real one, it makes a chat that is not there, and deletes it.
    delete: async (id) => {
      const { lid } = await found(id);
      await collection.forget(lid);
      return { wid: wid(`${lid}@lid`), status: 200 };
    },
    list: async () => [...collection.chats.values()].sort((a, b) => b.t - a.t).map((row) => collection.model(row)),

    sendTextMessage: async (id, content, options = {}) => {
      const chat = await found(id);
      return send(chat, { ...text(String(content)), ...called(options) }, options);
    },
    sendFileMessage: async (id, content, options) => {
      const chat = await found(id);
      const file = fileOf(content, options.mimetype, options.filename);
      const kind = kindOf(file, options.type, 'isPtt' in options && options.isPtt);
      checkSize(file, kind);
      const { caption = '' } = options;
      const said = { kind, media: await digest(file), mimetype: file.type, filename: file.name, caption, ...called(options) };
      return send(chat, said, options, file);
    },
    sendLocationMessage: async (id, { lat, lng, name = '', address = '', ...options }) => {
      const place = { latitude: Number(lat), longitude: Number(lng), name, address };
      return send(await found(id), { kind: 'location', ...place }, options);
    },
    sendVCardContactMessage: async (id, contacts, options = {}) => {
      const [card, ...more] = Array.isArray(contacts) ? contacts : [contacts];
      if (!card || more.length) throw new WppError('not_in_the_sandbox', 'The sandbox sends one contact at a time');
      const given = typeof card === 'object' && 'name' in card ? card : { id: card, name: '' };
      return send(await found(id), { kind: 'contact', name: given.name, number: mentioned(given.id) }, options);
    },
    sendCreatePollMessage: async (id, question, choices, options = {}) =>
      send(await found(id), { kind: 'poll', question, choices, selectable: options.selectableCount || 0 }, options),

    // Like the real one, it comes back only when the time is over.
    markIsComposing: async (id, duration) => {
      const { lid } = assertChat(id);
      await companion.wire.typing(lid, (duration ?? 25_000) / 1000);
      if (duration) await new Promise((resolve) => setTimeout(resolve, duration));
    },
    markIsPaused: async (id) => companion.wire.typing(assertChat(id).lid, 0),

    getMessageById: async (id) => companion.message(collection.get(parseKey(String(id))._serialized)),
    // Without its media filter; what it reads is warm.
    getMessages: async (id, { count = 20 } = {}) => {
      const rows = await companion.store.lastOf(assertChat(id).lid, count);
      const warm = await Promise.all(rows.map((row) => collection.warm(row.key)));
      return warm.flatMap((row) => (row ? [companion.message(row)] : []));
    },
    getMessageACK: async (id) => {
      const { ack, fromMe } = collection.get(String(id));
      return {
        ack,
        fromMe,
        deliveryRemaining: ack < 2 ? 1 : 0,
        readRemaining: ack < 3 ? 1 : 0,
        playedRemaining: 0,
        participants: [],
      };
    },
  };
}
