// The list of chats, the last one that moved first.

/** @import { Companion } from './companion.js' */
/** @import { ChatRow, MessageRow } from './surface.js' */

import { plain } from './bubble.js';
import { arrange, byId, clock, element, paint, pretty, ticks, write } from './view.js';

const SHOWN = 300;

export class ChatList {
  /** @type {Map<string, MessageRow>} */ #previews = new Map();
  /** What each chat is listed as: one that did not change stays. @type {WeakMap<ChatRow, {of: string, item: HTMLElement}>} */
  #items = new WeakMap();

  /** @param {Companion} companion @param {() => void} redraw @param {(chat: ChatRow) => void} show */
  constructor(companion, redraw, show) {
    this.companion = companion;
    this.redraw = redraw;
    this.show = show;
  }

  /** @param {ChatRow | null} open */
  render(open) {
    const wanted = /** @type {HTMLInputElement} */ (byId('search')).value.toLowerCase();
    const chats = [...this.companion.collection.chats.values()]
      .filter((chat) => chat.last && (!wanted || `${chat.name} ${pretty(chat.number)} ${chat.number}`.toLowerCase().includes(wanted)))
      .sort((a, b) => b.t - a.t);
    arrange(byId('chats'), chats.slice(0, SHOWN).map((chat) => this.#item(chat, chat.lid === open?.lid)));
    write('no-chats', chats.length ? '' : wanted ? 'No chat matches' : 'No messages yet');
  }

  /** @param {ChatRow} chat @param {boolean} open */
  #item(chat, open) {
    const last = chat.last ? this.#preview(chat.last) : undefined;
    const of = JSON.stringify([chat, last?.key, last?.ack, last?.isSendFailure, open]);
    const known = this.#items.get(chat);
    if (known?.of === of) return known.item;
    const item = this.#made(chat, last, open);
    this.#items.set(chat, { of, item });
    return item;
  }

  /** @param {ChatRow} chat @param {MessageRow | undefined} last @param {boolean} open */
  #made(chat, last, open) {
    const avatar = element('span', 'avatar');
    paint(avatar, chat.name, chat.number);
    const preview = element('span', 'preview', last ? plain(last.content) : '');
    if (last?.fromMe) preview.prepend(ticks(last));
    const count = element('span', 'unread', String(chat.unread));
    count.hidden = !chat.unread;
    const button = element(
      'button', 'chat', avatar,
      element('span', 'title', chat.name || pretty(chat.number)),
      element('time', '', chat.t ? clock(chat.t) : ''), preview, count,
    );
    button.setAttribute('type', 'button');
    button.setAttribute('aria-current', String(open));
    button.addEventListener('click', () => this.show(chat));
    return element('li', '', button);
  }

  /** A chat's last message. A look at the list warms nothing: that a message is cold is for the library's users to see.
   * @param {string} key */
  #preview(key) {
    const known = this.companion.collection.memory.get(key) ?? this.#previews.get(key);
    if (!known) {
      void this.companion.store.message(key).then((row) => {
        if (row) this.#previews.set(key, row);
        this.redraw();
      });
    }
    return known;
  }
}
