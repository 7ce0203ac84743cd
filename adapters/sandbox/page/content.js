// What a message says, between wa-js' models and the wire.

/** @import { Content, FileKind } from './stanzas.js' */
/** @import { MessageRow, Msg } from './surface.js' */

import { WppError } from './ids.js';

const MEGABYTE = 1024 ** 2;
/** WhatsApp Web's own limits, in bytes. @type {Record<FileKind, number>} */
const LARGEST = {
  image: 16 * MEGABYTE, video: 16 * MEGABYTE, audio: 16 * MEGABYTE, voice: 16 * MEGABYTE,
  document: 2000 * MEGABYTE, sticker: MEGABYTE,
};
/** @type {Record<Content['kind'], string>} */
const TYPES = {
  text: 'chat', image: 'image', video: 'video', audio: 'audio', voice: 'ptt', document: 'document', sticker: 'sticker',
  location: 'location', contact: 'vcard', poll: 'poll_creation',
};
/** @type {Partial<Record<Content['kind'], string>>} */
const NOUNS = {
  image: 'Photo', video: 'Video', audio: 'Audio', voice: 'Voice message', document: 'Document', sticker: 'Sticker',
  location: 'Location',
};

/** @param {string} words @returns {Content} */
export const text = (words) => ({ kind: 'text', text: words });

/** The words that a message shows, as its `body` or caption. @param {Content} content */
export function words(content) {
  switch (content.kind) {
    case 'text': return content.text;
    case 'poll': return content.question;
    case 'contact': return content.name;
    case 'location': return [content.name, content.address].filter(Boolean).join('\n');
    default: return content.caption;
  }
}

/** One line for a list of chats, or for a quote. @param {Content} content */
export function line(content) {
  const what = content.kind === 'document' ? content.filename : NOUNS[content.kind];
  return words(content) || what || '';
}

/** The fields of wa-js' message model that its content fills. @param {MessageRow} row @returns {Partial<Msg>} */
export function model({ content, quoted }) {
  /** @type {Partial<Msg>} */
  const fields = { type: TYPES[content.kind], body: words(content) };
  if (quoted) fields.quotedStanzaID = quoted;
  if ('media' in content) Object.assign(fields, { caption: content.caption, mimetype: content.mimetype, filename: content.filename });
  if (content.kind === 'location') Object.assign(fields, { lat: content.latitude, lng: content.longitude, loc: words(content) });
  if (content.kind === 'contact') Object.assign(fields, { vcardFormattedName: content.name });
  if (content.kind === 'poll') {
    const { question: pollName, selectable: pollSelectableOptionsCount } = content;
    Object.assign(fields, { pollName, pollOptions: options(content), pollSelectableOptionsCount });
  }
  return fields;
}

/** A poll's choices as WhatsApp numbers them. @param {Content & {kind: 'poll'}} poll */
export function options({ choices }) {
  return choices.map((name, localId) => ({ name, localId }));
}

/** What a file is sent as. @param {File} file @param {string} type what the caller asked for @param {boolean} [isPtt] @returns {FileKind} */
export function kindOf(file, type, isPtt) {
  const [family] = file.type.split('/');
  const kind = type === 'auto-detect' ? (family ?? '') : type;
  if (kind === 'audio') return isPtt ? 'voice' : 'audio';
  return kind === 'image' || kind === 'video' || kind === 'sticker' ? kind : 'document';
}

/** The file that was handed in: as it is, as bytes, or as a data URL. @param {string | Blob | File} given @param {string} [mimetype] @param {string} [filename] */
export function fileOf(given, mimetype, filename) {
  if (given instanceof File) return given;
  const blob = typeof given === 'string' ? decoded(given) : given;
  return new File([blob], filename || 'unknown', { type: mimetype || blob.type || 'application/octet-stream' });
}

/** @param {string} url */
function decoded(url) {
  const [, type, data] = /^data:([^;,]*)(?:;[^,]*)?;base64,(.*)$/s.exec(url) ?? [];
  if (data === undefined) throw 'invalid_data_url';
  return new Blob([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], type ? { type } : {});
}

/** @param {File} file @param {FileKind} kind */
export function checkSize(file, kind) {
  if (file.size > LARGEST[kind]) {
    throw new WppError('file_too_large', `File size ${file.size} exceeds the upload limit of ${LARGEST[kind]} for ${kind} files`);
  }
}

/** The SHA-256 of a file's bytes. @param {Blob} file */
export async function digest(file) {
  const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
