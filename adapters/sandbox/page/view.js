// What one sees: the code to scan, the chats, one open chat with its bubbles and ticks.

/** @import { Companion } from './companion.js' */
/** @import { ChatRow, MessageRow } from './surface.js' */

import { ChatList } from './chatlist.js';
import { text } from './content.js';
import { draw } from './qr.js';
import { Thread } from './thread.js';

/** @type {{[mode: string]: string}} */
const STATES = {
  SYNCING: 'Updating…', OFFLINE: 'Offline, trying again…', QR: '', CONFLICT: 'In use in another window',
  TOS_BLOCK: 'Blocked for its terms of service', DEPRECATED_VERSION: 'This version is too old',
};
const DRAW_WITHIN = 100;
const TICK = 'M1.500 6.500 5 10 12.500 2';
const SECOND_TICK = 'M8.500 10 16 2';
const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** @template {Element} [T=HTMLElement] @param {string} id @returns {T} */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return /** @type {T} */ (/** @type {unknown} */ (element));
}

/** @param {string} tag @param {string} className @param {(Node | string)[]} children */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** A list's items, in this order: those that are in their place stay there, untouched. @param {Element} list @param {Element[]} items */
export function arrange(list, items) {
  const wanted = new Set(items);
  for (const item of [...list.children]) if (!wanted.has(item)) item.remove();
  let next = list.firstElementChild;
  for (const item of items) {
    if (item === next) next = next.nextElementSibling;
    else list.insertBefore(item, next);
  }
}

/** Words that are there already are not put there again: the browser would lay out the page anew. @param {string} id @param {string} words */
export function write(id, words) {
  const place = byId(id);
  if (place.textContent !== words) place.textContent = words;
}

/** @param {string} className @param {string} box @param {string[]} paths */
function icon(className, box, ...paths) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', box);
  svg.setAttribute('class', className);
  for (const d of paths) {
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

/** @param {Pick<MessageRow, 'ack' | 'isSendFailure'>} row */
export function ticks(row) {
  if (row.isSendFailure) return labelled(icon('ticks failed', '0 0 17 12', 'M8.500 1v6M8.500 10.200v.2'), 'not sent');
  if (row.ack <= 0) return labelled(icon('ticks', '0 0 17 12', 'M8.500 1.500a4.500 4.500 0 1 0 .01 0M8.500 3.500V6l1.700 1'), 'waiting');
  if (row.ack === 1) return labelled(icon('ticks', '0 0 17 12', TICK), 'sent');
  return labelled(icon(row.ack > 2 ? 'ticks read' : 'ticks', '0 0 17 12', TICK, SECOND_TICK), row.ack > 2 ? 'read' : 'delivered');
}

/** @param {SVGElement} svg @param {string} label */
function labelled(svg, label) {
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return svg;
}

/** @param {string} number */
export function pretty(number) {
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  if (us) return `+1 ${us[1]} ${us[2]} ${us[3]}`;
  return number.replace(/^(\+\d{2})(\d{3})(\d{3})(\d+)$/, '$1 $2 $3 $4');
}

/** @param {number} seconds */
export function clock(seconds) {
  return TIME.format(seconds * 1000);
}

/** @param {number} seconds */
export function day(seconds) {
  const date = new Date(seconds * 1000).toDateString();
  const today = new Date();
  if (date === today.toDateString()) return 'Today';
  today.setDate(today.getDate() - 1);
  if (date === today.toDateString()) return 'Yesterday';
  return new Date(seconds * 1000).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
}

/** @param {HTMLElement} avatar @param {string} name @param {string} seed */
export function paint(avatar, name, seed) {
  const of = `${name} ${seed}`;
  if (avatar.dataset.of === of) return;
  avatar.dataset.of = of;
  const initials = name.split(/\s+/).map((word) => word[0] ?? '').filter((letter) => /\p{L}/u.test(letter));
  let hash = 7;
  for (const char of seed) hash = (hash * 31 + char.charCodeAt(0)) % 360;
  avatar.style.setProperty('--hue', String(hash));
  avatar.replaceChildren(
    initials.length
      ? [initials[0], initials.length > 1 ? initials.at(-1) : ''].join('').toUpperCase()
      : icon('person', '0 0 24 24', 'M12 12.500a4 4 0 1 0-.01 0M4.500 20c.8-3.600 3.800-5.500 7.500-5.500s6.700 1.900 7.500 5.500'),
  );
}

export class View {
  /** @type {ChatRow | null} */ #open = null;
  /** @type {ChatList} */ #chats;
  /** @type {Thread} */ #thread;
  #due = false;
  #drawn = '';

  /** @param {Companion} companion */
  constructor(companion) {
    this.companion = companion;
    this.#chats = new ChatList(companion, () => this.#soon(), (chat) => this.#show(chat));
    this.#thread = new Thread(companion, () => this.#soon());
  }

  mount() {
    this.companion.changed = () => this.#soon();
    byId('renew').addEventListener('click', () => void this.companion.refresh());
    byId('log-out').addEventListener('click', () => void this.companion.logout());
    byId('search').addEventListener('input', () => this.#soon());
    byId('back').addEventListener('click', () => this.#show(null));
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      const field = /** @type {HTMLInputElement} */ (byId('text'));
      const body = field.value.trim();
      if (!this.#open || !body) return;
      field.value = '';
      void this.companion.outbox.send(this.#open, text(body), {});
    });
    setInterval(() => this.#countdown(), 500);
    this.#render();
  }

  /** At most one drawing for everything that changed together. */
  #soon() {
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => {
      this.#due = false;
      this.#render();
    }, DRAW_WITHIN);
  }

  /** @param {ChatRow | null} chat */
  #show(chat) {
    this.#open = chat;
    this.#thread.open(chat);
    this.#render();
  }

  #render() {
    const { linked, mode, mainReady } = this.companion;
    document.body.dataset.screen = !linked ? 'link' : mainReady || mode === 'OFFLINE' ? 'app' : 'loading';
    document.body.dataset.chat = this.#open ? 'open' : 'none';
    if (!linked) return this.#renderCode();
    this.#renderMe();
    this.#chats.render(this.#open);
    if (this.#open) this.#thread.render(this.#open);
  }

  #renderCode() {
    const code = this.companion.authCode?.fullCode ?? '';
    byId('renew').hidden = !this.companion.codes.idle;
    byId('qr').classList.toggle('stale', !code);
    if (code && code !== this.#drawn) draw(byId('qr'), code);
    this.#drawn = code;
    this.#countdown();
  }

  #countdown() {
    if (this.companion.linked) return;
    const { until, idle } = this.companion.codes;
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    const told = idle ? 'The code has run out' : until ? `New code in ${left} s` : 'Asking for a code…';
    write('countdown', told);
  }

  #renderMe() {
    const { me, mode } = this.companion;
    if (!me) return;
    paint(byId('my-avatar'), me.name, me.number);
    write('my-name', me.name || pretty(me.number));
    write('my-state', STATES[mode] ?? (me.name ? pretty(me.number) : 'Online'));
    byId('my-state').classList.toggle('offline', mode !== 'MAIN' && mode !== 'SYNCING');
  }
}
