// One phone in a person's hand: its chats, one open chat, its switches, the codes it can scan. All through /control.

/** @import { Chat, Own } from './conversation.js' */

import { button, call, clock, fill } from './control.js';
import { Conversation } from './conversation.js';
import { draw } from './qr.js';
import { byId, element, paint, pretty, ticks } from './view.js';

/** @typedef {{device: string, since: number, online: boolean}} Linked */
/** @typedef {Own & {on: boolean, held: boolean, devices: Linked[], chats: Chat[]}} Phone */
/** @typedef {{device: string, since: number, payload: string | null}} Waiting */

const EVERY = 700;
const SAID_FOR = 4000;
const id = location.pathname.split('/').at(-1) ?? '';
const mine = `phones/${id}`;
const conversation = new Conversation(mine, (act) => say(act));
/** @type {Phone | null} */
let phone = null;
let reading = false;
let said = 0;

/** Do something, say what came of it, and look again. @param {() => Promise<string>} act */
async function say(act) {
  try {
    byId('said').textContent = await act();
  } catch (error) {
    byId('said').textContent = error instanceof Error ? error.message : String(error);
  }
  clearTimeout(said);
  said = window.setTimeout(() => (byId('said').textContent = ''), SAID_FOR);
  await refresh();
}

/** @param {string} field */
const input = (field) => /** @type {HTMLInputElement} */ (byId(field));

/** @param {Chat} chat */
function chatItem(chat) {
  const { id: key, name, phone: number, unread, typing, last } = chat;
  const avatar = element('span', 'avatar');
  avatar.setAttribute('aria-hidden', 'true');
  paint(avatar, name, number);
  const preview = element('span', 'preview', typing ? 'typing…' : conversation.line(last));
  if (last.mine && !typing) preview.prepend(ticks({ ack: last.ack, isSendFailure: false }));
  const count = element('span', 'unread', String(unread), element('span', 'unseen', ' unread'));
  count.hidden = !unread;
  const item = element('button', 'chat', avatar, element('span', 'title', name || pretty(number)), element('time', '', clock(last.at)), preview, count);
  item.setAttribute('type', 'button');
  item.dataset.key = key;
  item.addEventListener('click', () => void open(chat));
  return element('li', '', item);
}

/** @param {Linked} device */
function deviceItem({ device, since, online }) {
  const logOut = () => void say(async () => `${(await call('POST', `${mine}/unlink`, { device })).gone} logged out.`);
  const state = element('span', `online ${online ? 'yes' : ''}`, online ? 'Online' : 'Offline');
  return element('li', 'row', element('div', '', state, element('small', '', `linked ${clock(since)}`)), button('Log out', 'quiet', logOut));
}

/** @param {Waiting} waiting */
function waitingItem({ payload, since }) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('aria-hidden', 'true');
  if (payload) draw(canvas, payload);
  const what = element('div', '', 'A browser to link', element('small', '', payload ? `since ${clock(since)}` : 'its code has run out'));
  return element('li', '', canvas, what, payload ? button('Scan', 'action', () => scan(payload)) : '');
}

/** @param {string} payload */
function scan(payload) {
  void say(async () => {
    await call('POST', `${mine}/scan`, { payload });
    input('payload').value = '';
    return 'This phone has linked a browser.';
  });
}

/** @param {'chats' | 'chat' | 'about'} view */
function show(view) {
  document.body.dataset.view = view;
}

/** @param {{id: string, name: string, phone: string}} chat */
async function open(chat) {
  byId('said').textContent = '';
  conversation.open(chat);
  show('chat');
  await refresh();
  input('text').focus();
}

function back() {
  const from = conversation.close();
  show('chats');
  const item = [...document.querySelectorAll('#chats .chat')].find((each) => /** @type {HTMLElement} */ (each).dataset.key === from);
  /** @type {HTMLElement | undefined} */ (item)?.focus();
}

/** @param {Phone} now */
function render(now) {
  const title = now.name || pretty(now.phone);
  document.title = now.unread ? `(${now.unread}) ${title}` : title;
  document.body.dataset.power = now.on ? 'on' : 'off';
  for (const place of ['title', 'name', 'bar-name']) byId(place).textContent = title;
  input('new-name').placeholder = now.name;
  byId('number').textContent = now.name ? pretty(now.phone) : 'No name yet';
  byId('bar-state').textContent = now.name ? pretty(now.phone) : 'Phone';
  for (const avatar of ['avatar', 'bar-avatar']) paint(byId(avatar), now.name, now.phone);
  input('on').checked = now.on;
  input('held').checked = now.held;
  fill(byId('chats'), now.chats, chatItem);
  fill(byId('devices'), now.devices, deviceItem);
}

async function refresh() {
  if (reading) return;
  reading = true;
  try {
    const [now, all] = await Promise.all([call('GET', mine), call('GET', 'phones?limit=1')]);
    phone = /** @type {Phone} */ (now);
    render(phone);
    fill(byId('waiting'), /** @type {Waiting[]} */ (all.waiting), waitingItem);
    await conversation.refresh(phone);
  } finally {
    reading = false;
  }
}

/** @param {{on?: boolean, held?: boolean, name?: string}} what @param {string} done */
function change(what, done) {
  void say(async () => {
    await call('POST', `${mine}/switch`, what);
    return done;
  });
}

byId('on').addEventListener('change', () => change({ on: input('on').checked }, input('on').checked ? 'Switched on.' : 'Switched off.'));
byId('turn-on').addEventListener('click', () => change({ on: true }, 'Switched on.'));
byId('held').addEventListener('change', () => change({ held: input('held').checked }, input('held').checked ? 'In your hand.' : 'Laid down: it may read by itself.'));
byId('rename').addEventListener('submit', (event) => {
  event.preventDefault();
  change({ name: input('new-name').value.trim() }, 'Saved.');
  input('new-name').value = '';
});
byId('paste').addEventListener('submit', (event) => {
  event.preventDefault();
  scan(input('payload').value);
});
byId('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  void say(async () => {
    await call('POST', 'enter-code', { code: input('link-code').value, phone: phone?.phone });
    input('link-code').value = '';
    return 'This phone has linked a browser.';
  });
});
byId('begin').addEventListener('submit', (event) => {
  event.preventDefault();
  void say(async () => {
    const number = input('to').value.trim();
    const { id: other } = await call('POST', 'phones', { phone: number });
    const known = phone?.chats.find((chat) => chat.id === other);
    input('to').value = '';
    void open(known ?? { id: other, name: '', phone: number });
    return '';
  });
});
byId('back').addEventListener('click', back);
byId('open-about').addEventListener('click', () => {
  show('about');
  byId('close-about').focus();
});
byId('close-about').addEventListener('click', () => {
  show('chats');
  byId('open-about').focus();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !conversation.letGo()) back();
});
addEventListener('pagehide', () => void call('POST', `${mine}/switch`, { held: false }, true));
addEventListener('pageshow', () => void call('POST', `${mine}/switch`, { held: true }));
setInterval(() => void refresh().catch((error) => (byId('said').textContent = error.message)), EVERY);
await refresh();
