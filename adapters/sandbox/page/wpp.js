// window.WPP: wa-js' surface on top of the companion, held to the package's own declarations.

/** @import { Companion } from './companion.js' */
/** @import { Surface } from './surface.js' */

import { wid, WppError } from './ids.js';

/** @param {Companion} companion */
export function surface(companion) {
  const { events } = companion;

  /** @param {unknown} id */
  async function find(id) {
    return companion.find(String(id));
  }

  return /** @satisfies {Surface} */ ({
    version: '4.6.0',
    isInjected: true,
    isReady: true,
    get isFullReady() {
      return companion.mode === 'MAIN' || companion.mode === 'QR';
    },
    loader: {
      onReady: (listener, delay = 0) => void setTimeout(listener, delay),
      onFullReady: (listener, delay = 0) => void setTimeout(listener, delay),
    },
    on: (event, listener) => events.on(event, listener),
    once: (event, listener) => events.once(event, listener),
    off: (event, listener) => events.off(event, listener),

    conn: {
      getAuthCode: async () => companion.authCode,
      getHistorySyncProgress: () => ({ progress: null, paused: false, inProgress: companion.mode === 'SYNCING' }),
      getMyUserId: () => (companion.me ? wid(`${companion.me.number.slice(1)}@c.us`) : undefined),
      getStreamData: () => ({ mode: companion.mode, info: companion.info }),
      isAuthenticated: () => companion.linked,
      isIdle: () => companion.codes.idle,
      isMainReady: () => companion.mainReady,
      isOnline: () => companion.online,
      isRegistered: () => companion.linked,
      logout: async () => {
        await companion.logout();
        return true;
      },
      needsUpdate: () => false,
      // Like the real one, it answers with the next code, whenever that comes.
      refreshQR: async () => {
        if (companion.linked) return null;
        const next = new Promise((resolve) => events.once('conn.auth_code_change', resolve));
        await companion.refresh();
        await next;
        return companion.authCode;
      },
    },

    chat: {
      find: async (id) => companion.collection.model(await find(id)),
      list: async () => [...companion.collection.chats.values()].sort((a, b) => b.t - a.t).map((row) => companion.collection.model(row)),
      sendTextMessage: async (id, content, options = {}) => {
        const chat = await find(id).catch(() => {
          throw new WppError('chat_not_found', `Chat not found for ${id}`);
        });
        const { row, result } = await companion.send(chat, String(content), options.messageId?.toString());
        const messageSendResult = options.waitForAck === false ? null : await result;
        return {
          id: row.key,
          from: `${companion.me?.lid}@lid`,
          to: `${chat.lid}@lid`,
          ack: row.ack,
          sendMsgResult: messageSendResult && { messageSendResult, t: Math.floor(Date.now() / 1000) },
        };
      },
      getMessageById: async (id) => companion.message(companion.collection.get(String(id))),
      getMessageACK: async (id) => {
        const { ack, fromMe } = companion.collection.get(String(id));
        return {
          ack,
          fromMe,
          deliveryRemaining: ack < 2 ? 1 : 0,
          readRemaining: ack < 3 ? 1 : 0,
          playedRemaining: 0,
          participants: [],
        };
      },
    },

    contact: {
      getPnLidEntry: async (id) => {
        const chat = await find(id);
        const lid = { id: chat.lid, server: 'lid', _serialized: `${chat.lid}@lid` };
        const user = chat.number.slice(1);
        return { lid, phoneNumber: { id: user, server: 'c.us', _serialized: `${user}@c.us` }, contact: { name: chat.name } };
      },
      queryWidExists: async (id) => {
        const contact = await companion.wire.exists(`+${wid(String(id)).user}`);
        if (!contact) return null;
        return { wid: wid(`${contact.number.slice(1)}@c.us`), lid: wid(`${contact.lid}@lid`), biz: false };
      },
    },
  });
}

/** WhatsApp's own module loader, as far as it is asked for: warming the message collection. @param {Companion} companion */
export function moduleLoader(companion) {
  const MsgCollection = {
    /** @param {unknown[]} ids */
    getMessagesById: async (ids) => {
      const rows = await Promise.all(ids.map((id) => companion.collection.warm(String(id))));
      return { messages: rows.flatMap((row) => (row ? [companion.message(row)] : [])) };
    },
  };
  return (/** @type {string} */ name) => (name === 'WAWebMsgCollection' ? { MsgCollection } : undefined);
}
