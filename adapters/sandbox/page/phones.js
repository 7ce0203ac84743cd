// All phones of the sandbox: codes to scan, who has a phone, what arrived lately, faults to arm. All of it through /control.

import { plain } from './bubble.js';
import { button, call, clock, fill } from './control.js';
import { draw } from './qr.js';
import { byId, element, paint, pretty, ticks } from './view.js';

/** @import { Content } from './stanzas.js' */

/** @typedef {{device: string, since: number, payload: string | null}} Waiting */
/** @typedef {{device: string, since: number, online: boolean}} Linked */
/** @typedef {{id: string, phone: string, name: string, on: boolean, unread: number, devices: Linked[]}} Phone */
/** @typedef {{phone: string, chat: string, name: string, content: Content, at: number, ack: number}} Delivered */
/** @typedef {{name: string, number: string | null, times: number | null}} Armed */

const EVERY = 1000;
/** @type {Record<string, string>} */
let meanings = {};

/** @param {() => Promise<string>} act */
async function say(act) {
  try {
    byId('said').textContent = await act();
  } catch (error) {
    byId('said').textContent = error instanceof Error ? error.message : String(error);
  }
  await refresh();
}

/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (byId(id));

/** @param {string} payload */
function scan(payload) {
  const form = /** @type {HTMLFormElement} */ (byId('as'));
  if (!form.reportValidity()) return;
  const phone = input('number').value;
  const name = input('name').value;
  void say(async () => {
    await call('POST', 'scan', { payload, phone, name });
    form.reset();
    return `${pretty(phone)} linked a browser.`;
  });
}

/** @param {Waiting} waiting */
function waitingItem({ payload, since }) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('aria-hidden', 'true');
  if (payload) draw(canvas, payload);
  const ending = payload ? `ends in …${payload.slice(-8)}` : 'has run out';
  return element('li', '', canvas,
    element('div', '', `A browser asks to be linked`, element('small', '', `since ${clock(since)}, the code ${ending}`)),
    payload ? button('Scan', 'action', () => scan(payload)) : '');
}

/** @param {string} name @param {string} number */
function face(name, number) {
  const avatar = element('span', 'avatar');
  avatar.setAttribute('aria-hidden', 'true');
  paint(avatar, name, number);
  return avatar;
}

/** @param {string} id @param {string} name @param {string} number */
function phoneLink(id, name, number) {
  const link = document.createElement('a');
  link.href = `/phone/${id}`;
  link.className = 'to-phone';
  link.dataset.key = id;
  link.textContent = name || pretty(number);
  return link;
}

/** @param {Phone} phone */
function phoneItem({ id, phone, name, on, unread, devices }) {
  const linked = devices.map((d) => element('small', `online ${d.online ? 'yes' : ''}`, `browser ${d.online ? 'online' : 'offline'}, linked ${clock(d.since)}`));
  const logOut = () => void say(async () => `${(await call('POST', 'unlink', { phone })).gone} logged out.`);
  const facts = [name ? pretty(phone) : '', on ? '' : 'switched off'].filter(Boolean).join(' · ');
  return element('li', 'row', face(name, phone),
    element('div', '', phoneLink(id, name, phone), ...(facts ? [element('small', '', facts)] : []), ...linked),
    unread ? element('span', 'unread', String(unread), element('span', 'unseen', ' unread')) : '',
    linked.length ? button('Log out', 'quiet', logOut) : '');
}

/** @param {Delivered} message */
function deliveredItem({ phone, chat, name, content, at, ack }) {
  return element('li', 'row', face(name, chat),
    element('div', '', element('small', '', phoneLink(phone, name, chat)), element('p', '', plain(content))),
    element('time', '', `${clock(at)} `, ticks({ ack, isSendFailure: false })));
}

/** @param {Armed} armed */
function armedItem({ name, number, times }) {
  const disarm = () => void say(async () => {
    await call('DELETE', `faults?${new URLSearchParams({ name })}`);
    return `${name} is not armed any more.`;
  });
  const how = `${number ? pretty(number) : 'every number'}${times ? `, ${times} more` : ''}`;
  return element('li', 'row', element('div', '', name, element('small', '', meanings[name] ?? ''), element('small', '', how)), button('Disarm', 'quiet', disarm));
}

async function refresh() {
  const wanted = new URLSearchParams({ search: input('search').value, limit: '60' });
  const [phones, messages, faults, ledger] = await Promise.all(
    [`phones?${wanted}`, 'messages', 'faults', 'ledger'].map((what) => call('GET', what)),
  );
  meanings = faults.known;
  fill(byId('waiting'), phones.waiting, waitingItem);
  fill(byId('phones'), phones.phones, phoneItem);
  fill(byId('delivered'), messages.messages, deliveredItem);
  fill(byId('armed'), faults.armed, armedItem);
  byId('found').textContent = phones.found > phones.phones.length ? `${phones.phones.length} of ${phones.found}` : '';
  byId('wire').textContent = `${ledger.entries} on the wire, ${ledger.distinct} different`;
  const select = byId('fault-name');
  if (!select.childElementCount) {
    for (const [name, what] of Object.entries(meanings)) {
      const option = document.createElement('option');
      option.value = name;
      option.textContent = `${name}: ${what}`;
      select.append(option);
    }
  }
}

byId('as').addEventListener('submit', (event) => event.preventDefault());
byId('paste').addEventListener('submit', (event) => {
  event.preventDefault();
  scan(input('payload').value.trim());
});
byId('find').addEventListener('submit', (event) => event.preventDefault());
byId('search').addEventListener('input', () => void refresh());
byId('new-phone').addEventListener('submit', (event) => {
  event.preventDefault();
  void say(async () => {
    const { id } = await call('POST', 'phones', { phone: input('new-number').value, name: input('new-name').value });
    location.href = `/phone/${id}`;
    return '';
  });
});
byId('fault').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = /** @type {HTMLSelectElement} */ (/** @type {unknown} */ (byId('fault-name'))).value;
  const number = input('fault-number').value || null;
  const times = Number(input('fault-times').value) || null;
  void say(async () => {
    await call('POST', 'faults', { name, number, times });
    return `${name} is armed.`;
  });
});
setInterval(() => void refresh().catch((error) => (byId('said').textContent = error.message)), EVERY);
await refresh();
