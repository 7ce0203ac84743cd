// The sandbox's control, as its phones' pages speak to it.

/** @type {Record<string, string>} */
const REASONS = {
  account_locked: 'WhatsApp has locked this account: it can link no browser.',
  code_expired: 'That code has expired: take the one on show now.',
  code_unknown: 'No browser shows that code.',
  code_altered: 'That code was not copied whole.',
  nobody_to_write_to: 'Nobody writes to themselves here: choose another number.',
  phone_is_off: 'This phone is off.',
  too_many_choices: 'That is more choices than the poll allows.',
  unknown_phone: 'There is no such phone.',
};

/** @param {string} method @param {string} path @param {unknown} [body] @param {boolean} [last] it may end after the page */
export async function call(method, path, body, last = false) {
  const response = await fetch(`/control/${path}`, {
    method,
    keepalive: last,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new Error('The sandbox does not answer.');
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(REASONS[answer.reason] ?? 'The sandbox did not accept that.');
  return answer;
}

/** @param {string} label @param {string} className @param {() => void} act */
export function button(label, className, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = className;
  made.textContent = label;
  made.addEventListener('click', act);
  return made;
}

/** What each list was last made of: it is made anew only when that changed, so that nothing moves under the pointer. */
const shown = new Map();

/** @template T @param {HTMLElement} list @param {T[]} data @param {(item: T) => Node} make */
export function fill(list, data, make) {
  const now = JSON.stringify(data);
  if (shown.get(list) === now) return;
  shown.set(list, now);
  const focused = list.contains(document.activeElement) ? focusKey(document.activeElement) : null;
  list.replaceChildren(...data.map(make));
  if (focused) /** @type {HTMLElement | undefined} */ ([...list.querySelectorAll('[data-key]')].find((item) => focusKey(item) === focused))?.focus();
}

/** @param {Element | null} element */
function focusKey(element) {
  return element instanceof HTMLElement ? element.dataset.key ?? null : null;
}

/** @param {number} seconds */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

/** @param {number} seconds */
export function day(seconds) {
  const date = new Date(seconds * 1000);
  const ago = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (ago === 0) return 'Today';
  if (ago === 1) return 'Yesterday';
  return date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
}
