// drumline inside the page: thin, plain JSON outwards, page models never leave. This part listens to wa-js and keeps
// the last notices in a ring; sending.js and reading.js add what Python tells it to do.

(() => {
  /** @typedef {News & {seq: number}} Notice */

  const KEEP = 1000;
  const REMEMBER = 10_000;
  const ATTACH_EVERY = 250;
  /** Milliseconds that a receipt waits for others, of which each message has three; nothing else waits. */
  const RECEIPTS_WITHIN = 200;
  /** What arrives as a message and is none. */
  const SILENT = [
    'broadcast_notification', 'call_log', 'ciphertext', 'e2e_notification', 'gp2', 'group_notification', 'notification',
    'notification_template', 'protocol', 'reaction', 'revoked',
  ];
  const STATE_EVENTS = /** @type {const} */ ([
    'conn.auth_code_change', 'conn.authenticated', 'conn.main_ready', 'conn.needs_update', 'conn.online',
    'conn.qrcode_idle', 'conn.require_auth', 'conn.stream_mode_changed', 'conn.stream_info_changed',
  ]);

  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, '0')).join('');
  /** @type {Notice[]} */
  const ring = [];
  /** @type {Wpp | undefined} */
  let attached;
  /** The last messages that were told of. @type {Set<string>} */
  const told = new Set();
  let seq = 0;
  let mainReady = false;
  /** When Python is to look, on the page's clock. */
  let due = Infinity;
  let timer = 0;

  /** Ask Python to look, once for everything that happens until then. @param {number} [within] milliseconds */
  function wake(within = 0) {
    const at = performance.now() + within;
    if (at >= due) return;
    due = at;
    clearTimeout(timer);
    timer = setTimeout(() => {
      due = Infinity;
      window.drumlineWake?.().catch(() => {});
    }, within);
  }

  /** @param {News} what */
  function keep(what) {
    ring.push({ ...what, seq: ++seq });
    if (ring.length > KEEP) ring.shift();
    wake(what.kind === 'ack' ? RECEIPTS_WITHIN : 0);
  }

  /** Listen to the library, or to another one that took its place since. */
  function attach() {
    const wpp = window.WPP;
    if (!wpp || wpp === attached) return;
    attached = wpp;
    mainReady = false;
    wpp.loader.onReady(() => wake());
    for (const name of STATE_EVENTS) wpp.on(name, () => wake());
    wpp.on('conn.logout', () => keep({ kind: 'logout' }));
    wpp.on('chat.msg_ack_change', (change) => {
      const ids = change.ids.filter((key) => key.fromMe).map((key) => key.id);
      if (ids.length) keep({ kind: 'ack', ack: change.ack, ids });
    });
    wpp.on('chat.new_message', async (message) => {
      const news = await arrival(wpp, message).catch(() => null);
      if (news) keep(news);
    });
    wpp.on('chat.poll_response', (vote) => void voted(wpp, vote).catch(() => {}));
  }

  /** A person's number and linked id, as far as WhatsApp tells them. @param {Wpp} wpp @param {import('@wppconnect/wa-js').whatsapp.Wid} wid */
  async function person(wpp, wid) {
    const entry = await wpp.contact.getPnLidEntry(wid).catch(() => null);
    const number = entry?.phoneNumber?.id ?? (wid.server === 'c.us' ? wid.user : '');
    return { number, lid: entry?.lid?.id ?? (wid.isLid() ? wid.user : '') };
  }

  /**
   * What a person wrote: told once, and nothing of what WhatsApp shows for itself.
   * @param {Wpp} wpp @param {import('@wppconnect/wa-js').whatsapp.MsgModel} message @returns {Promise<Arrival | null>}
   */
  async function arrival(wpp, message) {
    const { id, from, type = '' } = message;
    if (id.fromMe || !from?.isUser() || SILENT.includes(type) || told.has(id.id)) return null;
    told.add(id.id);
    for (const oldest of told) {
      if (told.size <= REMEMBER) break;
      told.delete(oldest);
    }
    return {
      kind: 'message', id: id.id, type, at: message.t ?? Date.now() / 1000, ...(await person(wpp, from)),
      text: (type === 'chat' ? message.body : message.caption) ?? '', answers: message.quotedStanzaID ?? null,
    };
  }

  /**
   * Somebody voted in a poll of ours; the library brings the chosen options, each at its place, and no id of its own.
   * @param {Wpp} wpp @param {import('@wppconnect/wa-js').ev.ChatEventTypes['chat.poll_response']} vote
   */
  async function voted(wpp, { msgId, selectedOptions, timestamp, sender }) {
    if (!msgId.fromMe || !sender.isUser()) return;
    const chosen = /** @type {{name: string}[]} */ (/** @type {unknown[]} */ (selectedOptions)).filter(Boolean);
    keep({
      kind: 'message', id: `${msgId.id}.${timestamp}`, type: 'vote', at: timestamp / 1000, ...(await person(wpp, sender)),
      text: chosen.map(({ name }) => name).join('\n'), answers: msgId.id,
    });
  }

  /** @returns {Promise<string | null>} the QR payload on show */
  async function code() {
    try {
      return (await window.WPP?.conn.getAuthCode())?.fullCode ?? null;
    } catch {
      return null; // the page's own modules are not loaded yet
    }
  }

  function session() {
    const wpp = window.WPP;
    if (!wpp?.isReady) return null;
    try {
      const { mode } = wpp.conn.getStreamData();
      mainReady ||= wpp.conn.isMainReady();
      return {
        mode,
        idle: wpp.conn.isIdle(),
        authenticated: wpp.conn.isAuthenticated(),
        registered: wpp.conn.isRegistered(),
        online: wpp.conn.isOnline(),
        needsUpdate: wpp.conn.needsUpdate(),
        mainReady,
      };
    } catch {
      return null; // ditto
    }
  }

  /** Everything Python wants to know, with the notices after `since`. @param {number} since */
  async function look(since) {
    attach();
    const now = session();
    return {
      bridge: id,
      session: now,
      code: now?.mode === 'QR' ? await code() : null,
      notices: ring.filter((notice) => notice.seq > since),
    };
  }

  /** The page's own clock, and which page it is: a deadline counted on it means nothing to another page. */
  function clock() {
    return { bridge: id, now: performance.now() };
  }

  /** A new list of QR codes. Never awaited: wa-js waits for the next code without a deadline. */
  function refresh() {
    window.WPP?.conn.refreshQR().catch(() => {});
  }

  const drumline = { arrival, clock, look, person, refresh, session };
  Object.defineProperty(window, 'drumline', { value: drumline });
  attach();
  // The sandbox puts its own library in the real one's place, at a moment of its own.
  setInterval(attach, ATTACH_EVERY);
})();
