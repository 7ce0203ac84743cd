// What a message looks like, in the linked browser and on a phone: words with their formatting, files, places, polls.

/** @import { Content } from './stanzas.js' */

/** @typedef {Extract<Content, {media: string}>} FileContent */
/** The address of a file's bytes, or null while they are not at hand. @typedef {(content: FileContent) => string | null} FileAddress */
/** Votes by choice, one's own choices, and how to vote (nobody else can). @typedef {{votes: number[], voted: number[], vote?: (choices: number[]) => void}} Votes */

import { line } from './content.js';
import { element, paint, pretty } from './view.js';
import { voice } from './voice.js';

const SVG = 'http://www.w3.org/2000/svg';
const PIN = 'M12 21.500c4.500-5.200 6.800-8.800 6.800-11.700a6.800 6.800 0 1 0-13.600 0c0 2.900 2.300 6.500 6.800 11.700zM12 12a2.300 2.300 0 1 0-.01 0';
const SHEET = 'M13.500 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8.500zM13.500 3v5.500H19';
const MARKS = { '*': 'strong', _: 'em', '~': 's', '`': 'code' };
const FORMATTED = /\n?```([\s\S]+?)```\n?|(?<![\w*_~`])([*_~`])(?=\S)([^\n]*?\S)\2(?![\w*_~`])|@(\d{7,15})|(https?:\/\/[^\s]+)/g;

/** @param {string} path */
function sign(path) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'sign');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** *bold*, _italic_, ~struck~, `code`, ```blocks```, mentions and links. @param {string} text @returns {(Node | string)[]} */
export function formatted(text) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(FORMATTED)) {
    const [whole, block, mark, inner, digits, link] = match;
    if (match.index > from) nodes.push(text.slice(from, match.index));
    from = match.index + whole.length;
    if (block !== undefined) nodes.push(element('code', 'block', block));
    else if (mark === '`') nodes.push(element('code', '', inner ?? ''));
    else if (mark) nodes.push(element(MARKS[/** @type {keyof typeof MARKS} */ (mark)], '', ...formatted(inner ?? '')));
    else if (digits) nodes.push(element('span', 'mention', `@${pretty(`+${digits}`)}`));
    else if (link) nodes.push(element('span', 'link-text', link));
  }
  return [...nodes, text.slice(from)].filter((node) => node !== '');
}

/** The same in one line of a list, where only the words are shown. @param {Content} content */
export function plain(content) {
  return formatted(line(content)).map((one) => (typeof one === 'string' ? one : one.textContent)).join('');
}

/** @param {string} words */
function said(words) {
  return words ? [element('p', 'words', ...formatted(words))] : [];
}

/** What kind of document it is, as its name ends. @param {string} filename */
const suffix = (filename) => (/\.(\w{1,5})$/.exec(filename)?.[1] ?? '').toUpperCase();

/** @param {FileContent} content @param {string | null} address @returns {HTMLElement} */
function file(content, address) {
  const { kind, caption, filename, mimetype } = content;
  if (kind === 'image' || kind === 'sticker') {
    const picture = document.createElement('img');
    picture.className = kind === 'image' ? 'picture' : 'sticker';
    picture.alt = caption || (kind === 'image' ? 'Photo' : 'Sticker');
    if (address) picture.src = address;
    return picture;
  }
  if (kind === 'voice') return voice(address, sign);
  if (kind === 'video' || kind === 'audio') {
    const player = document.createElement(kind);
    player.className = kind === 'video' ? 'picture' : 'sound';
    player.controls = true;
    player.preload = 'metadata';
    player.setAttribute('aria-label', kind === 'audio' ? 'Audio' : 'Video');
    if (address) player.src = address;
    return player;
  }
  const link = document.createElement('a');
  link.className = 'document';
  link.download = filename;
  if (address) link.href = address;
  link.append(sign(SHEET), element('span', '', element('b', '', filename || 'Document'), element('small', '', suffix(filename) || mimetype)));
  return link;
}

/** @param {Content & {kind: 'location'}} place */
function location({ latitude, longitude, name, address }) {
  const map = element('div', 'map', sign(PIN));
  map.setAttribute('aria-hidden', 'true');
  const where = `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
  return element('div', 'place', map, element('b', '', name || 'Location'), ...(address ? [element('span', '', address)] : []), element('small', '', where));
}

/** @param {Content & {kind: 'contact'}} card */
function card({ name, number }) {
  const avatar = element('span', 'avatar');
  avatar.setAttribute('aria-hidden', 'true');
  paint(avatar, name, number);
  return element('div', 'card-of', avatar, element('span', '', element('b', '', name || pretty(number)), element('small', '', pretty(number))));
}

/** @param {Content & {kind: 'poll'}} poll @param {Votes} votes */
function poll({ question, choices, selectable }, { votes, voted, vote }) {
  const most = Math.max(1, ...votes);
  const items = choices.map((choice, index) => {
    const count = votes[index] ?? 0;
    const bar = element('span', 'bar-of');
    bar.style.setProperty('--share', `${(100 * count) / most}%`);
    const chosen = voted.includes(index);
    const line = [element('span', 'mark'), element('span', 'choice', choice), element('span', 'count', String(count)), bar];
    if (!vote) return element('li', '', element('div', 'option', ...line));
    const option = element('button', 'option', ...line);
    option.setAttribute('type', 'button');
    option.setAttribute('aria-pressed', String(chosen));
    option.dataset.option = String(index);
    option.addEventListener('click', () => {
      if (chosen) vote(voted.filter((other) => other !== index));
      else if (selectable === 1) vote([index]);
      else if (!selectable || voted.length < selectable) vote([...voted, index]);
    });
    return element('li', '', option);
  });
  const how = selectable === 1 ? 'Select one' : selectable ? `Select up to ${selectable}` : 'Select one or more';
  return element('div', 'poll', element('b', '', question), element('small', '', how), element('ul', 'options', ...items));
}

/** The message that another one answers, and whose it is. @param {Content | undefined} content @param {string} by */
export function quote(content, by) {
  if (!content) return element('span', 'quote', 'A message that is not here');
  return element('span', 'quote', element('b', '', by), element('span', '', ...formatted(line(content))));
}

/**
 * The inside of a bubble.
 * @param {Content} content @param {FileAddress} address @param {Votes} [votes] @returns {(Node | string)[]}
 */
export function bubble(content, address, votes = { votes: [], voted: [] }) {
  switch (content.kind) {
    case 'text': return said(content.text);
    case 'location': return [location(content)];
    case 'contact': return [card(content)];
    case 'poll': return [poll(content, votes)];
    default: return [file(content, address(content)), ...said(content.caption)];
  }
}
