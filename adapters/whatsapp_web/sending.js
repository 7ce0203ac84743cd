// One send at a time, by wa-js' own calls, when Python says so.

(() => {
  /** Errors that wa-js throws before it hands anything to WhatsApp's own outbox. */
  const BEFORE_OUTBOX = [
    'can_not_send_message_to_this_groupType',
    'chat_not_found',
    'file_too_large',
    'mentioned_is_not_user',
    'message_key_is_not_from_me',
    'message_key_remote_id_is_not_same_of_chat',
    'quoted_msg_can_not_reply',
  ];
  /** Before the deadline, so that what a message's row says can still be told. */
  const LOOK_UP_BEFORE = 400;

  const REMEMBER = 10_000;
  /** Who is on WhatsApp, by number: each look-up is seen there, so one is enough. @type {Map<string, import('@wppconnect/wa-js').whatsapp.Wid>} */
  const registered = new Map();

  /** A number's id on WhatsApp, asked once in the life of a page; null when it has none. @param {Wpp} wpp @param {string} number */
  async function whois(wpp, number) {
    const known = registered.get(number) ?? (await wpp.contact.queryWidExists(`${number}@c.us`))?.wid;
    if (!known) return null;
    if (registered.size >= REMEMBER) registered.clear();
    registered.set(number, known);
    return known;
  }

  /** Files on their way into messages, by the messages' ids. @type {Map<string, HTMLInputElement>} */
  const inputs = new Map();

  /** An input to put a message's file into: the browser then reads it from the disk, and no byte crosses the protocol. @param {string} waId */
  function input(waId) {
    const made = document.createElement('input');
    made.type = 'file';
    inputs.set(waId, made);
    return made;
  }

  /** Whom a text or a caption calls. @param {{mentions: string[]}} said */
  const mentioned = ({ mentions }) => mentions.map((digits) => `${digits}@c.us`);

  /**
   * @param {Wpp} wpp @param {import('@wppconnect/wa-js').whatsapp.Wid} chat @param {Said} said
   * @param {File | undefined} file @param {import('@wppconnect/wa-js').chat.SendMessageOptions} options
   */
  function hand(wpp, chat, said, file, options) {
    switch (said.kind) {
      case 'text':
        return wpp.chat.sendTextMessage(chat, said.text, { ...options, mentionedList: mentioned(said), linkPreview: false });
      case 'location': {
        const { latitude: lat, longitude: lng, name, address } = said;
        return wpp.chat.sendLocationMessage(chat, { ...options, lat, lng, name, address });
      }
      case 'contact':
        return wpp.chat.sendVCardContactMessage(chat, { id: `${said.number}@c.us`, name: said.name }, options);
      case 'poll':
        return wpp.chat.sendCreatePollMessage(chat, said.question, said.choices, { ...options, selectableCount: said.selectable });
    }
    if (!file) throw new Error('the file is missing');
    // Under the name and the type that the recipient is to see, not those on this disk; the bytes are not copied.
    const named = new File([file], said.filename, { type: said.mimetype });
    // An empty caption would be shown as one, with the file's name in it.
    const caption = said.caption ? { caption: said.caption, mentionedList: mentioned(said) } : {};
    const how = { ...options, filename: said.filename, mimetype: said.mimetype, ...caption };
    if (said.kind === 'voice') return wpp.chat.sendFileMessage(chat, named, { ...how, type: 'audio', isPtt: true });
    return wpp.chat.sendFileMessage(chat, named, { ...how, type: said.kind });
  }

  /** A message of this profile, or null. @param {Wpp} wpp @param {string} key */
  async function kept(wpp, key) {
    // After a restart messages are cold: the library finds none before WhatsApp's own collection has read it.
    await window.require?.('WAWebMsgCollection')?.MsgCollection.getMessagesById([key]).catch(() => {});
    return wpp.chat.getMessageById(key).catch(() => null);
  }

  /** The key of an earlier message of the chat, in the library's memory; null when there is none. @param {Wpp} wpp @param {string} chat @param {string} id */
  async function warm(wpp, chat, id) {
    for (const key of [`true_${chat}_${id}`, `false_${chat}_${id}`]) if (await kept(wpp, key)) return key;
    return null;
  }

  /**
   * How far those of our messages got that WhatsApp's server has; each comes with the number it went to.
   * @param {[string, string][]} sent
   */
  async function found(sent) {
    const wpp = window.WPP;
    if (!wpp || window.drumline.session()?.mode !== 'MAIN') return null;
    /** @type {Record<string, number>} */
    const acks = {};
    for (const [number, id] of sent) {
      const entry = await wpp.contact.getPnLidEntry(`${number}@c.us`).catch(() => null);
      for (const chat of [entry?.lid?._serialized, `${number}@c.us`]) {
        const ack = (chat && (await kept(wpp, `true_${chat}_${id}`))?.ack) || 0;
        if (ack > 0) acks[id] = ack;
      }
    }
    return acks;
  }

  /** How far a message is, as its row says. @param {Wpp} wpp @param {string} key @returns {Promise<Answer>} */
  async function lookUp(wpp, key) {
    const ack = (await kept(wpp, key))?.ack ?? 0;
    return ack > 0 ? { ack } : { uncertain: 'deadline' };
  }

  /** What the library's own answer means. @param {import('@wppconnect/wa-js').chat.SendMessageReturn} answer @returns {Answer} */
  function judge({ ack, sendMsgResult }) {
    // Of files WhatsApp answers with the word alone.
    const result = typeof sendMsgResult === 'string' ? sendMsgResult : sendMsgResult?.messageSendResult;
    if (result === 'ERROR_UPLOAD') return { rejected: 'upload_failed' };
    if (ack < 0) return { rejected: 'refused_by_server' };
    return result === 'OK' || ack > 0 ? { ack: Math.max(ack, 1) } : { uncertain: 'no_ack' };
  }

  /**
   * The first that is known: the library's answer (of a file it may never come), the server's acknowledgement, or
   * what the row says shortly before the deadline.
   * @param {Wpp} wpp @param {string} key @param {number} before @param {() => Promise<Answer>} act @returns {Promise<Answer>}
   */
  async function settled(wpp, key, before, act) {
    /** @type {(answer: Answer) => void} */
    let tell = () => {};
    /** @type {Promise<Answer>} */
    const told = new Promise((resolve) => (tell = resolve));
    /** @param {{ack: number, ids: {toString(): string}[]}} change */
    const acknowledged = ({ ack, ids }) => {
      if (ack > 0 && ids.some((id) => id.toString() === key)) tell({ ack });
    };
    wpp.on('chat.msg_ack_change', acknowledged);
    const left = before - performance.now();
    const timer = setTimeout(() => void lookUp(wpp, key).then(tell), Math.max(left - LOOK_UP_BEFORE, left / 2));
    try {
      return await Promise.race([act(), told]);
    } finally {
      clearTimeout(timer);
      wpp.off('chat.msg_ack_change', acknowledged);
    }
  }

  /**
   * Send one message under our own id. `rejected` says that nothing was handed to the outbox, or that the server
   * refused it; whatever cannot be known is `uncertain`.
   * @param {Order} order @returns {Promise<Answer>}
   */
  async function send({ bridge, before, number, said, waId, quoted }) {
    const file = inputs.get(waId)?.files?.[0];
    inputs.delete(waId);
    let acting = false;
    try {
      if (bridge !== window.drumline.clock().bridge) return { rejected: 'page_reloaded' };
      const wpp = window.WPP;
      if (!wpp || window.drumline.session()?.mode !== 'MAIN') return { rejected: 'not_ready' };
      const known = await whois(wpp, number);
      if (!known) return { rejected: 'not_on_whatsapp' };
      const chat = await wpp.chat.find(known);
      const messageId = `true_${chat.id}_${waId}`;
      const quotedMsg = quoted === null ? null : await warm(wpp, String(chat.id), quoted);
      if (quoted !== null && quotedMsg === null) return { rejected: 'quoted_not_found' };
      const options = { messageId, waitForAck: true, detectMentioned: false, markIsRead: false, ...(quotedMsg && { quotedMsg }) };
      if (performance.now() >= before) return { rejected: 'deadline' };
      acting = true;
      return await settled(wpp, messageId, before, async () => judge(await hand(wpp, chat.id, said, file, options)));
    } catch (error) {
      const { name, code, message } = /** @type {Error & {code?: string}} */ (error);
      if (!acting) return { rejected: 'page_error' };
      if (code && BEFORE_OUTBOX.includes(code)) return { rejected: code };
      // A row with this id exists already: whether it left is for a look-up to say.
      if (`${name} ${message}`.includes('DuplicateMessage')) return { uncertain: 'duplicate_id' };
      return { uncertain: 'page_error' };
    }
  }

  Object.assign(window.drumline, { found, input, send, whois });
})();
