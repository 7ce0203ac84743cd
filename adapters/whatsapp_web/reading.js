// What drumline asks an account besides sends: who is on WhatsApp, who it is itself, whom it knows; that it types, and
// forgets a chat.

(() => {
  /** Messages of a chat that are looked at again. */
  const LAST = 30;

  /** The library, if the account is at work. */
  function ready() {
    return window.drumline.session()?.mode === 'MAIN' ? window.WPP : undefined;
  }

  /** One page of those whose name or id holds the words searched for. @template T @param {T[]} all @param {number} offset @param {number} limit */
  const page = (all, offset, limit) => ({ total: all.length, items: all.slice(offset, offset + limit) });

  /** @param {string} search @param {(string | undefined)[]} words */
  const holds = (search, words) => words.some((word) => word?.toLowerCase().includes(search.toLowerCase()));

  /** @param {{name: string, id: string}} a @param {{name: string, id: string}} b */
  const byName = (a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id);

  /** Show as typing for so long; comes back when it is over. @param {string} number @param {number} milliseconds */
  async function typing(number, milliseconds) {
    const wpp = ready();
    const known = wpp && (await window.drumline.whois(wpp, number));
    if (known) await wpp.chat.markIsComposing((await wpp.chat.find(known)).id, milliseconds);
  }

  /** Whether a number has a WhatsApp account; null when it cannot be asked now. @param {string} number */
  async function exists(number) {
    const wpp = ready();
    return wpp ? Boolean(await wpp.contact.queryWidExists(`${number}@c.us`)) : null;
  }

  /**
   * Delete the chat with a number, whether WhatsApp files it under that or under the linked id; false when WhatsApp did
   * not, null when it cannot be asked now.
   * @param {string} number
   */
  async function forget(number) {
    const wpp = ready();
    if (!wpp) return null;
    const entry = await wpp.contact.getPnLidEntry(`${number}@c.us`).catch(() => null);
    const names = [`${number}@c.us`, `${entry?.lid?.id}@lid`];
    const chat = (await wpp.chat.list({ onlyUsers: true })).find(({ id }) => names.includes(String(id)));
    return !chat || (await wpp.chat.delete(chat.id)).status < 300;
  }

  /** The numbers behind linked ids, of those that WhatsApp tells. @param {string[]} lids */
  async function numbers(lids) {
    const wpp = ready();
    if (!wpp) return null;
    /** @type {Record<string, string>} */
    const told = {};
    for (const lid of lids) {
      const id = `${lid}@lid`;
      let number = (await wpp.contact.getPnLidEntry(id).catch(() => null))?.phoneNumber?.id;
      if (!number) {
        // The page knows by itself only whom it has met; its server may tell more, and then the page learns it.
        const { wid } = (await wpp.contact.queryWidExists(id).catch(() => null)) ?? {};
        number = wid?.server === 'c.us' ? wid.user : (await wpp.contact.getPnLidEntry(id).catch(() => null))?.phoneNumber?.id;
      }
      if (number) told[lid] = number;
    }
    return told;
  }

  /** The account's own number and linked id. */
  function own() {
    const wpp = ready();
    const number = wpp?.conn.getMyUserId();
    return wpp && number ? { number: number.user, lid: wpp.conn.getMyUserLid().user } : null;
  }

  /** The people in the address book. @param {string} search @param {number} offset @param {number} limit */
  async function contacts(search, offset, limit) {
    const wpp = ready();
    if (!wpp) return null;
    const people = (await wpp.contact.list({ onlyMyContacts: true }))
      .filter((contact) => contact.id.isUser() && !contact.isMe)
      .map((contact) => ({ id: String(contact.id), wid: contact.id, name: String(contact.name || contact.pushname || '') }))
      .filter(({ id, name }) => holds(search, [name, id]))
      .sort(byName);
    const { total, items } = page(people, offset, limit);
    return { total, items: await Promise.all(items.map(async ({ wid, name }) => ({ ...(await window.drumline.person(wpp, wid)), name }))) };
  }

  /** @param {string} search @param {number} offset @param {number} limit */
  async function groups(search, offset, limit) {
    const wpp = ready();
    if (!wpp) return null;
    // The library answers with an array of promises.
    const chats = (await Promise.all(await wpp.group.getAllGroups())).flatMap((chat) => (chat ? [chat] : []));
    const named = chats
      .map((chat) => ({ id: String(chat.id), name: String(chat.name ?? chat.formattedTitle ?? '') }))
      .filter(({ id, name }) => holds(search, [name, id]))
      .sort(byName);
    const { total, items } = page(named, offset, limit);
    return { total, items: await Promise.all(items.map(async (group) => ({ ...group, members: (await wpp.group.getParticipants(group.id)).length }))) };
  }

  /** The people in a group. @param {string} group @param {number} offset @param {number} limit */
  async function members(group, offset, limit) {
    const wpp = ready();
    if (!wpp) return null;
    const { total, items } = page(await wpp.group.getParticipants(group), offset, limit);
    const people = items.map(async ({ id }) => {
      const entry = await wpp.contact.getPnLidEntry(id).catch(() => null);
      return { ...(await window.drumline.person(wpp, id)), name: entry?.contact?.name ?? entry?.contact?.pushname ?? '' };
    });
    return { total, items: await Promise.all(people) };
  }

  /**
   * What people wrote since a moment and was not told of: its event was lost, or the page that had it ended. Nobody's
   * STOP may be.
   * @param {number} since in seconds since 1970
   */
  async function catchUp(since) {
    const wpp = ready();
    if (!wpp) return [];
    const missed = [];
    for (const chat of await wpp.chat.list({ onlyUsers: true })) {
      if ((chat.t ?? 0) < since) continue;
      for (const message of await wpp.chat.getMessages(chat.id, { count: LAST }).catch(() => [])) {
        const real = /** @type {import('@wppconnect/wa-js').whatsapp.MsgModel} */ (message);
        const news = (real.t ?? 0) >= since ? await window.drumline.arrival(wpp, real).catch(() => null) : null;
        if (news) missed.push(news);
      }
    }
    return missed;
  }

  Object.assign(window.drumline, { catchUp, typing, exists, forget, numbers, own, contacts, groups, members });
})();
