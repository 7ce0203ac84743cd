// The open chat: its bubbles with what they quote, their files, ticks and votes.

/** @import { Companion } from './companion.js' */
/** @import { FileContent } from './bubble.js' */
/** @import { ChatRow, MessageRow } from './surface.js' */

import { bubble, quote } from './bubble.js';
import { arrange, byId, clock, day, element, paint, pretty, ticks, write } from './view.js';

const SHOWN = 300;

export class Thread {
  /** Addresses of files by digest and type; null while one is being fetched. @type {Map<string, string | null>} */ #files = new Map();
  /** Bubbles by message: one that did not change stays, so that what plays goes on. @type {Map<string, {of: string, item: HTMLElement}>} */
  #bubbles = new Map();
  #atEnd = true;

  /** @param {Companion} companion @param {() => void} redraw */
  constructor(companion, redraw) {
    this.companion = companion;
    this.redraw = redraw;
    const list = byId('messages');
    list.addEventListener('scroll', () => (this.#atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80));
    // What loads grows: who stood at the end stays there.
    for (const grown of ['load', 'loadedmetadata']) list.addEventListener(grown, () => this.#stay(), true);
    addEventListener('resize', () => this.#stay());
  }

  #stay() {
    if (this.#atEnd) byId('messages').scrollTop = byId('messages').scrollHeight;
  }

  /** Another chat, or none, is on show. @param {ChatRow | null} chat */
  open(chat) {
    for (const address of this.#files.values()) if (address) URL.revokeObjectURL(address);
    this.#files.clear();
    this.#bubbles.clear();
    this.#atEnd = true;
    byId('messages').replaceChildren();
    if (chat) void this.#read(chat);
  }

  /** @param {ChatRow} chat */
  async #read(chat) {
    const { collection, wire } = this.companion;
    const unread = chat.unread > 0;
    await collection.open(chat);
    if (unread) await wire.read(chat.lid);
  }

  /** @param {ChatRow} chat */
  render(chat) {
    paint(byId('their-avatar'), chat.name, chat.number);
    write('their-name', chat.name || pretty(chat.number));
    write('their-number', chat.name ? pretty(chat.number) : 'No name in the address book');
    if (chat.unread && document.visibilityState === 'visible') void this.#read(chat);
    const list = byId('messages');
    const rows = this.companion.collection.messagesOf(chat);
    const byKey = new Map(rows.map((row) => [row.id, row]));
    let before = '';
    const items = rows.slice(-SHOWN).flatMap((row) => {
      const today = day(row.t);
      const between = today === before ? [] : [element('li', 'day', today)];
      before = today;
      return [...between, this.#bubble(row, row.quoted ? byKey.get(row.quoted) : undefined, chat)];
    });
    arrange(list, items);
    this.#stay();
  }

  /** @param {MessageRow} row @param {MessageRow | undefined} quoted @param {ChatRow} chat */
  #bubble(row, quoted, chat) {
    const { content, votes } = row;
    const address = 'media' in content ? this.#address(content) : null;
    const of = JSON.stringify([row, quoted?.content, address]);
    const known = this.#bubbles.get(row.key);
    if (known?.of === of) return known.item;
    const counted = content.kind === 'poll' ? content.choices.map((_, choice) => Number(votes.includes(choice))) : [];
    const meta = element('span', 'meta', clock(row.t));
    if (row.fromMe) meta.append(ticks(row));
    const item = element(
      'li', `bubble of-${content.kind}${row.fromMe ? ' mine' : ''}`,
      ...(row.quoted ? [quote(quoted?.content, quoted?.fromMe ? 'You' : chat.name || pretty(chat.number))] : []), ...bubble(content, () => address, { votes: counted, voted: [] }), meta,
    );
    this.#bubbles.set(row.key, { of, item });
    return item;
  }

  /** Where a file's bytes are: in the profile, else with the server. @param {FileContent} content */
  #address({ media, mimetype, kind }) {
    // No document acts in this page's name, whatever it is, and whatever else the same bytes were sent as.
    const type = kind === 'document' ? 'application/octet-stream' : mimetype;
    const key = `${media} ${type}`;
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    this.#files.set(key, null);
    void this.companion.file(media).then((file) => {
      this.#files.set(key, URL.createObjectURL(new Blob([file], { type })));
      this.redraw();
    }, () => {}); // the line is down: the bubble stays without
    return null;
  }
}
