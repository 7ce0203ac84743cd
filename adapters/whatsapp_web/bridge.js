// The one piece of drumline inside the page: thin, plain JSON outwards, page models never leave.
// It listens to wa-js, keeps the last notices in a ring, and runs one send at a time when told to.

(() => {
  /** @typedef {typeof import('@wppconnect/wa-js')} Wpp */
  /** @typedef {import('@wppconnect/wa-js').whatsapp.Wid} Wid */
  /** @typedef {{kind: 'message', id: string, type: string, at: number, number: string, lid: string, text: string, answers: string | null}} Arrival */
  /** @typedef {{kind: 'ack', ack: number, ids: string[]} | {kind: 'logout'} | Arrival} News */
  /** @typedef {News & {seq: number}} Notice */
  /** @typedef {{bridge: string, before: number, number: string, text: string, waId: string}} Order */
  /** @typedef {{ack: number} | {rejected: string} | {uncertain: string}} Answer */

  const KEEP = 1000;
  const ATTACH_EVERY = 250;
  /** Errors that wa-js throws before it hands anything to WhatsApp's own outbox. */
  const BEFORE_OUTBOX = [
    'can_not_send_message_to_this_groupType',
    'chat_not_found',
    'message_key_is_not_from_me',
    'message_key_remote_id_is_not_same_of_chat',
  ];
  /** What arrives as a message and is none. */
  const SILENT = [
    'broadcast_notification', 'call_log', 'ciphertext', 'e2e_notification', 'gp2', 'group_notification', 'notification',
    'notification_template', 'protocol', 'reaction', 'revoked',
  ];
  const STATE_EVENTS = /** @type {const} */ ([
    'conn.auth_code_change', 'conn.authenticated', 'conn.main_ready', 'conn.needs_update', 'conn.online',
    'conn.qrcode_idle', 'conn.require_auth', 'conn.stream_mode_changed', 'conn.stream_info_changed',
  ]);

  const page = /** @type {Window & {WPP?: Wpp, drumlineWake?: () => Promise<void>}} */ (window);
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, '0')).join('');
  /** @type {Notice[]} */
  const ring = [];
  /** @type {Wpp | undefined} */
  let attached;
  let seq = 0;
  let mainReady = false;
  let waking = false;

  /** Ask Python to look, once for everything that happens in one turn. */
  function wake() {
    if (waking) return;
    waking = true;
    setTimeout(() => {
      waking = false;
      page.drumlineWake?.().catch(() => {});
    });
  }

  /** @param {News} what */
  function keep(what) {
    ring.push({ ...what, seq: ++seq });
    if (ring.length > KEEP) ring.shift();
    wake();
  }

  /** Listen to the library, or to another one that took its place since. */
  function attach() {
    const wpp = page.WPP;
    if (!wpp || wpp === attached) return;
    attached = wpp;
    mainReady = false;
    wpp.loader.onReady(wake);
    for (const name of STATE_EVENTS) wpp.on(name, wake);
    wpp.on('conn.logout', () => keep({ kind: 'logout' }));
    wpp.on('chat.msg_ack_change', (change) => {
      const ids = change.ids.filter((key) => key.fromMe).map((key) => key.id);
      if (ids.length) keep({ kind: 'ack', ack: change.ack, ids });
    });
    wpp.on('chat.new_message', (message) => void arrived(wpp, message).catch(() => {}));
    wpp.on('chat.poll_response', (vote) => void voted(wpp, vote).catch(() => {}));
  }

  /** A person's number and linked id, as far as WhatsApp tells them. @param {Wpp} wpp @param {Wid} wid */
  async function person(wpp, wid) {
    const entry = await wpp.contact.getPnLidEntry(wid).catch(() => null);
    const number = entry?.phoneNumber?.id ?? (wid.server === 'c.us' ? wid.user : '');
    return { number, lid: entry?.lid?.id ?? (wid.isLid() ? wid.user : '') };
  }

  /**
   * A message came: from a person, and not one of those that WhatsApp shows for itself.
   * @param {Wpp} wpp @param {import('@wppconnect/wa-js').whatsapp.MsgModel} message
   */
  async function arrived(wpp, message) {
    const { id, from, type = '' } = message;
    if (id.fromMe || !from?.isUser() || SILENT.includes(type)) return;
    keep({
      kind: 'message', id: id.id, type, at: message.t ?? Date.now() / 1000, ...(await person(wpp, from)),
      text: (type === 'chat' ? message.body : message.caption) ?? '', answers: message.quotedStanzaID ?? null,
    });
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
      return (await page.WPP?.conn.getAuthCode())?.fullCode ?? null;
    } catch {
      return null; // the page's own modules are not loaded yet
    }
  }

  function session() {
    const wpp = page.WPP;
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
    page.WPP?.conn.refreshQR().catch(() => {});
  }

  /**
   * Send one text under our own id. `rejected` says that nothing was handed to the outbox, or that the server refused
   * it; whatever cannot be known is `uncertain`.
   * @param {Order} order @returns {Promise<Answer>}
   */
  async function send({ bridge, before, number, text, waId }) {
    let acting = false;
    try {
      if (bridge !== id) return { rejected: 'page_reloaded' };
      const wpp = page.WPP;
      if (!wpp || session()?.mode !== 'MAIN') return { rejected: 'not_ready' };
      const known = await wpp.contact.queryWidExists(`${number}@c.us`);
      if (!known) return { rejected: 'not_on_whatsapp' };
      const chat = await wpp.chat.find(known.wid);
      const messageId = `true_${chat.id}_${waId}`;
      if (performance.now() >= before) return { rejected: 'deadline' };
      acting = true;
      const { ack, sendMsgResult } = await wpp.chat.sendTextMessage(chat.id, text, {
        messageId, waitForAck: true, linkPreview: false, detectMentioned: false, markIsRead: false,
      });
      if (ack < 0) return { rejected: 'refused_by_server' };
      if (sendMsgResult?.messageSendResult === 'OK' || ack > 0) return { ack: Math.max(ack, 1) };
      return { uncertain: 'no_ack' };
    } catch (error) {
      const { name, code: errorCode, message } = /** @type {Error & {code?: string}} */ (error);
      if (!acting) return { rejected: 'page_error' };
      if (errorCode && BEFORE_OUTBOX.includes(errorCode)) return { rejected: errorCode };
      // A row with this id exists already: whether it left is for a look-up to say.
      if (`${name} ${message}`.includes('DuplicateMessage')) return { uncertain: 'duplicate_id' };
      return { uncertain: 'page_error' };
    }
  }

  Object.defineProperty(window, 'drumline', { value: Object.freeze({ clock, look, refresh, send }) });
  attach();
  // The sandbox puts its own library in the real one's place, at a moment of its own.
  setInterval(attach, ATTACH_EVERY);
})();
