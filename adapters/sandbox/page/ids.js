// WhatsApp's ids: people's (wid) and messages' (key), with the parts and methods the surface promises.

/** @import { Wid, MsgKey } from './surface.js' */

/** @param {string} serialized @returns {Wid} */
export function wid(serialized) {
  const [user = '', server = ''] = serialized.split('@');
  return {
    user,
    server,
    _serialized: serialized,
    toString: () => serialized,
    equals: (other) => String(other) === serialized,
    isLid: () => server === 'lid',
    isUser: () => server === 'lid' || server === 'c.us',
    isGroup: () => server === 'g.us',
  };
}

/** @param {boolean} fromMe @param {string} remote @param {string} id @returns {MsgKey} */
export function key(fromMe, remote, id) {
  const serialized = `${fromMe}_${remote}_${id}`;
  return { fromMe, id, remote: wid(remote), _serialized: serialized, toString: () => serialized };
}

/** @param {string} serialized @returns {MsgKey} */
export function parseKey(serialized) {
  const [fromMe, remote, id] = serialized.split('_');
  if (!remote || !id) throw new WppError('invalid_message_key', 'Not a message key');
  return key(fromMe === 'true', remote, id);
}

/** 3EB0 and 18 hex digits, as WhatsApp Web makes them itself. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return '3EB0' + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('').toUpperCase();
}

/** wa-js' own kind of error: a code that programs can tell apart. */
export class WppError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** WhatsApp Web's refusal of a second row with the same key. */
export class DuplicateMessageError extends Error {
  constructor() {
    super('DuplicateMessageError: a message with this key exists');
    this.name = 'DuplicateMessageError';
  }
}
