// window.WPP: wa-js' surface on top of the companion, held to the package's own declarations.

/** @import { Companion } from './companion.js' */
/** @import { Chat, Surface } from './surface.js' */

import { chatSurface } from './chat.js';
import { wid, WppError } from './ids.js';

/** @param {Companion} companion */
export function surface(companion) {
  const { events } = companion;

  return /** @satisfies {Surface} */ ({
    version: '4.6.0',
    isInjected: true,
    get isReady() {
      return !companion.faults.armed.has('never_ready');
    },
    get isFullReady() {
      return this.isReady && (companion.mode === 'MAIN' || companion.mode === 'QR');
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
      getHistorySyncProgress: () => ({ progress: companion.faults.armed.has('stuck_loading') ? 100 : null, paused: false, inProgress: companion.mode === 'SYNCING' }),
      getMyUserId: () => (companion.me ? wid(`${companion.me.number.slice(1)}@c.us`) : undefined),
      getMyUserLid: () => wid(`${companion.me?.lid}@lid`),
      getStreamData: () => ({ mode: companion.mode, info: companion.info }),
      isAuthenticated: () => companion.linked,
      isIdle: () => companion.codes.idle,
      isMainReady: () => companion.mainReady && !companion.faults.armed.has('never_ready'),
      isOnline: () => companion.online,
      isRegistered: () => companion.linked,
      logout: async () => {
        await companion.logout();
        return true;
      },
      needsUpdate: () => false,
      startLinkDeviceCodeForPhoneNumber: async (phone) => companion.wire.linkCode(`+${phone}`),
      // Like the real one, it answers with the next code, whenever that comes.
      refreshQR: async () => {
        if (companion.linked) return null;
        const next = new Promise((resolve) => events.once('conn.auth_code_change', resolve));
        await companion.refresh();
        await next;
        return companion.authCode;
      },
    },

    chat: chatSurface(companion),

    contact: {
      getPnLidEntry: async (id) => {
        const { lid, number, name } = await companion.person(String(id));
        const user = number.slice(1);
        const hidden = wid(String(id)).isLid() && companion.faults.armed.has('numbers_hidden');
        return {
          lid: { id: lid, server: 'lid', _serialized: `${lid}@lid` },
          ...(!hidden && { phoneNumber: { id: user, server: 'c.us', _serialized: `${user}@c.us` } }),
          contact: { name },
        };
      },
      list: async (options = {}) => {
        const people = await companion.wire.contacts();
        const known = people.map(({ number, lid, name }) => ({
          id: wid(`${lid}@lid`), name, pushname: name, isMe: number === companion.me?.number, isUser: true,
        }));
        return options.onlyMyContacts ? known.filter((person) => !person.isMe) : known;
      },
      queryWidExists: async (id) => {
        const asked = wid(String(id));
        if (asked.isLid()) return companion.collection.chat(String(id)) ? { wid: asked, lid: asked, biz: false } : null;
        const contact = await companion.wire.exists(`+${asked.user}`);
        if (!contact) return null;
        return { wid: wid(`${contact.number.slice(1)}@c.us`), lid: wid(`${contact.lid}@lid`), biz: false };
      },
    },

    group: {
      // Like the real one, it answers with an array of promises, whatever its type says.
      getAllGroups: async () => {
        const models = (await companion.wire.groups()).map(async ({ id, name }) => ({
          id: wid(`${id}@g.us`), name, formattedTitle: name, unreadCount: 0, t: 0,
        }));
        return /** @type {Chat[]} */ (/** @type {unknown[]} */ (models));
      },
      getParticipants: async (id) => {
        const { user } = wid(String(id));
        const group = (await companion.wire.groups()).find((known) => known.id === user);
        if (!group) throw new WppError('group_not_exist', `Group ${id} not exist`);
        return group.participants.map(({ lid }) => ({ id: wid(`${lid}@lid`), isAdmin: false, isSuperAdmin: false }));
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
