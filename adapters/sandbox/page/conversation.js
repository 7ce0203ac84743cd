// One open chat on a phone: its bubbles, votes, answers.

/** @import { Content } from './stanzas.js' */

import { bubble, plain, quote } from './bubble.js';
import { button, call, clock, day } from './control.js';
import { byId, element, paint, pretty, ticks } from './view.js';

/** @typedef {{id: string, mine: boolean, body: string, content: Content, quoted: string | null, at: number, ack: number, voted?: number[], votes?: number[]}} Message */
/** @typedef {{id: string, phone: string, name: string}} Person */
/** @typedef {Person & {unread: number, typing: boolean, last: Message}} Chat */
/** @typedef {Person & {version: number, unread: number, chats: Chat[]}} Own */

export class Conversation {
  /** @type {Person | null} */ #with = null;
  /** @type {Message | null} */ #answering = null;
  /** Bubbles by message: one that did not change stays, so that what plays goes on. @type {Map<string, {of: string, item: HTMLElement}>} */
  #bubbles = new Map();
  #seen = '';

  /** @param {string} phone the path of the phone's control @param {(act: () => Promise<string>) => Promise<void>} say */
  constructor(phone, say) {
    this.phone = phone;
    this.say = say;
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      const field = /** @type {HTMLInputElement} */ (byId('text'));
      const text = field.value.trim();
      field.value = '';
      if (text) void this.#write(text);
    });
    byId('stop').addEventListener('click', () => void this.#write('STOP'));
    byId('no-answer').addEventListener('click', () => this.letGo());
  }

  /** One line for the list of chats. @param {Message} message */
  line({ content }) {
    return plain(content);
  }

  /** @param {Person} person */
  open(person) {
    this.close();
    this.#with = person;
    paint(byId('their-avatar'), person.name, person.phone);
    byId('their-name').textContent = person.name || pretty(person.phone);
  }

  /** Which chat was open. */
  close() {
    const was = this.#with?.id;
    this.#with = null;
    this.#seen = '';
    this.#bubbles.clear();
    this.letGo();
    byId('messages').replaceChildren();
    return was;
  }

  /** Answer no message in particular; whether one was chosen. */
  letGo() {
    const had = this.#answering !== null;
    this.#answering = null;
    byId('answering').hidden = true;
    return had;
  }

  /** @param {Own & {on: boolean}} own */
  async refresh(own) {
    const open = this.#with;
    if (!open) return;
    const chat = await call('GET', `${this.phone}/chats/${open.id}`);
    if (this.#with !== open) return; // another one was opened meanwhile
    byId('their-state').textContent = chat.typing ? 'typing…' : chat.name ? pretty(chat.phone) : '';
    const seen = JSON.stringify(chat.messages);
    if (seen !== this.#seen) this.#render(chat.messages);
    this.#seen = seen;
    const unread = own.chats.find((each) => each.id === open.id)?.unread;
    if (unread && own.on && document.visibilityState === 'visible') await call('POST', `${this.phone}/read`, { chat: open.id });
  }

  /** @param {string} text */
  #write(text) {
    return this.say(async () => {
      const body = { chat: this.#with?.id, text, quoted: this.#answering?.id ?? null };
      await call('POST', `${this.phone}/write`, body);
      this.letGo();
      byId('messages').scrollTop = byId('messages').scrollHeight;
      return '';
    });
  }

  /** @param {Message[]} messages */
  #render(messages) {
    const list = byId('messages');
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    const byKey = new Map(messages.map((message) => [message.id, message]));
    let before = '';
    const items = messages.flatMap((message) => {
      const today = day(message.at);
      const between = today === before ? [] : [element('li', 'day', today)];
      before = today;
      return [...between, this.#bubble(message, message.quoted ? byKey.get(message.quoted) : undefined)];
    });
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const place = list.contains(focused) ? [focused?.closest('li[data-id]')?.getAttribute('data-id'), focused?.dataset.option] : null;
    list.replaceChildren(...items);
    if (place) this.#focus(place);
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  /** @param {(string | null | undefined)[]} place */
  #focus([message, option]) {
    const item = this.#bubbles.get(message ?? '')?.item;
    /** @type {HTMLElement | null | undefined} */ (item?.querySelector(option ? `[data-option="${option}"]` : 'button'))?.focus();
  }

  /** @param {Message} message @param {Message | undefined} quoted */
  #bubble(message, quoted) {
    const of = JSON.stringify([message, quoted]);
    const known = this.#bubbles.get(message.id);
    if (known?.of === of) return known.item;
    const votes = { votes: message.votes ?? [], voted: message.voted ?? [], vote: (/** @type {number[]} */ choices) => this.#vote(message, choices) };
    const inside = bubble(message.content, (file) => `/control/${this.phone}/media/${file.media}?${new URLSearchParams({ type: file.mimetype, name: file.filename })}`, votes);
    const meta = element('span', 'meta', clock(message.at));
    if (message.mine) meta.append(ticks({ ack: message.ack, isSendFailure: false }));
    const them = this.#with?.name || pretty(this.#with?.phone ?? '');
    const answered = message.quoted ? [quote(quoted?.content, quoted?.mine ? 'You' : them)] : [];
    const answer = message.mine ? [] : [button('Reply', 'reply', () => this.#answer(message))];
    const item = element('li', `bubble of-${message.content.kind}${message.mine ? ' mine' : ''}`, ...answered, ...inside, meta, ...answer);
    item.dataset.id = message.id;
    this.#bubbles.set(message.id, { of, item });
    return item;
  }

  /** @param {Message} message */
  #answer(message) {
    this.#answering = message;
    byId('answered').textContent = plain(message.content);
    byId('answering').hidden = false;
    byId('text').focus();
  }

  /** @param {Message} poll @param {number[]} choices */
  #vote(poll, choices) {
    const chat = this.#with?.id;
    void this.say(async () => {
      await call('POST', `${this.phone}/vote`, { chat, message: poll.id, choices });
      return choices.length ? 'Voted.' : 'Your vote is taken back.';
    });
  }
}
