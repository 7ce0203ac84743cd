// The sandbox phone: scan codes, log devices out, see what arrived, arm faults. All of it through /control.

import { draw } from './qr.js';
import { byId, element, pretty, paint, ticks } from './view.js';

/** @typedef {{device: string, since: number, payload: string | null}} Waiting */
/** @typedef {{device: string, since: number, online: boolean}} Linked */
/** @typedef {{phone: string, name: string, devices: Linked[]}} Phone */
/** @typedef {{account: string, chat: string, name: string, id: string, body: string, at: number, ack: number}} Delivered */
/** @typedef {{name: string, number: string | null, times: number | null}} Armed */

const EVERY = 1000;
/** @type {Record<string, string>} */
const REASONS = {
  code_expired: 'That code has expired: take the one on show now.',
  code_unknown: 'No browser shows that code.',
  code_altered: 'That code was not copied whole.',
};

/** @param {string} method @param {string} path @param {unknown} [body] */
async function call(method, path, body) {
  const response = await fetch(`/control/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(REASONS[answer.reason] ?? 'The sandbox did not accept that.');
  return answer;
}

/** @param {() => Promise<string>} act */
async function say(act) {
  try {
    byId('said').textContent = await act();
  } catch (error) {
    byId('said').textContent = error instanceof Error ? error.message : String(error);
  }
  await refresh();
}

/** @param {number} seconds */
function time(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}

/** @param {string} label @param {string} className @param {() => void} act */
function button(label, className, act) {
  const made = element('button', className, label);
  made.setAttribute('type', 'button');
  made.addEventListener('click', act);
  return made;
}

/** @param {string} payload */
function scan(payload) {
  const form = /** @type {HTMLFormElement} */ (byId('as'));
  if (!form.reportValidity()) return;
  const phone = /** @type {HTMLInputElement} */ (byId('number')).value;
  const name = /** @type {HTMLInputElement} */ (byId('name')).value;
  void say(async () => {
    await call('POST', 'scan', { payload, phone, name });
    form.reset();
    return `${pretty(phone)} linked a browser.`;
  });
}

/** Redraw a list only when what it shows has changed, so that nothing moves under the pointer. */
const shown = new Map();

/** @template T @param {string} id @param {T[]} data @param {(item: T) => Node} make */
function list(id, data, make) {
  const now = JSON.stringify(data);
  if (shown.get(id) === now) return;
  shown.set(id, now);
  byId(id).replaceChildren(...data.map(make));
}

/** @param {Waiting} waiting */
function waitingItem({ payload, since }) {
  const canvas = document.createElement('canvas');
  if (payload) draw(canvas, payload);
  const ending = payload ? `ends in …${payload.slice(-8)}` : 'has run out';
  return element('li', '', canvas,
    element('div', '', `A browser asks to be linked`, element('small', '', `since ${time(since)}, the code ${ending}`)),
    payload ? button('Scan', 'action', () => scan(payload)) : '');
}

/** @param {Phone} phone */
function phoneItem({ phone, name, devices }) {
  const avatar = element('span', 'avatar');
  paint(avatar, name, phone);
  const linked = devices.map((d) => element('small', `online ${d.online ? 'yes' : ''}`, `${d.online ? 'online' : 'offline'}, linked ${time(d.since)}`));
  const logOut = () => void say(async () => `${(await call('POST', 'unlink', { phone })).gone} logged out.`);
  return element('li', 'row', avatar,
    element('div', '', name ? `${name} · ${pretty(phone)}` : pretty(phone), ...(linked.length ? linked : [element('small', '', 'no linked browser')])),
    linked.length ? button('Log out', 'quiet', logOut) : '');
}

/** @param {Delivered} message */
function deliveredItem({ chat, name, body, at, ack }) {
  const avatar = element('span', 'avatar');
  paint(avatar, name, chat);
  return element('li', 'row', avatar,
    element('div', '', element('small', '', name ? `${name} · ${pretty(chat)}` : pretty(chat)), element('p', '', body)),
    element('time', '', `${time(at)} `, ticks({ ack, isSendFailure: false })));
}

/** @param {Armed} armed */
function armedItem({ name, number }) {
  const disarm = () => void say(async () => {
    await call('DELETE', 'faults');
    return 'No fault is armed.';
  });
  return element('li', 'row', element('div', '', name, element('small', '', number ? pretty(number) : 'every number')), button('Disarm all', 'quiet', disarm));
}

async function refresh() {
  const [phones, messages, faults, ledger] = await Promise.all(
    ['phones', 'messages', 'faults', 'ledger'].map((what) => call('GET', what)),
  );
  list('waiting', phones.waiting, waitingItem);
  list('phones', phones.phones, phoneItem);
  list('delivered', messages.messages, deliveredItem);
  list('armed', faults.armed, armedItem);
  byId('wire').textContent = `${ledger.entries} on the wire, ${ledger.distinct} different`;
  const select = byId('fault-name');
  if (!select.childElementCount) {
    for (const [name, what] of Object.entries(faults.known)) {
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
  scan(/** @type {HTMLInputElement} */ (byId('payload')).value.trim());
});
byId('fault').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = /** @type {HTMLSelectElement} */ (byId('fault-name')).value;
  const number = /** @type {HTMLInputElement} */ (byId('fault-number')).value || null;
  void say(async () => {
    await call('POST', 'faults', { name, number });
    return `${name} is armed.`;
  });
});
setInterval(() => void refresh().catch(() => (byId('said').textContent = 'The sandbox does not answer.')), EVERY);
await refresh();
