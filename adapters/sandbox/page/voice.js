// A voice message: a button, its loudness over time, and how long it takes.

import { element } from './view.js';

const BARS = 40;
const PLAY = 'M8 5.500v13l10.500-6.500z';
const PAUSE = 'M8 5.500v13M16 5.500v13';

/** @param {number} seconds */
function minutes(seconds) {
  const whole = Number.isFinite(seconds) ? Math.round(seconds) : 0;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** How loud each part is, from 0 to 1; even where it cannot be decoded. @param {string} address */
async function loudness(address) {
  try {
    const context = new OfflineAudioContext(1, 1, 8000);
    const sound = (await context.decodeAudioData(await (await fetch(address)).arrayBuffer())).getChannelData(0);
    const size = Math.max(1, Math.floor(sound.length / BARS));
    const parts = Array.from({ length: BARS }, (_, part) => {
      const samples = sound.subarray(part * size, (part + 1) * size);
      return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length));
    });
    const most = Math.max(...parts) || 1;
    return parts.map((part) => part / most);
  } catch {
    return new Array(BARS).fill(0.3);
  }
}

/** @param {string | null} address @param {(path: string) => Node} sign @returns {HTMLElement} */
export function voice(address, sign) {
  const player = document.createElement('audio');
  player.preload = 'metadata';
  if (address) player.src = address;
  const button = element('button', 'play', sign(PLAY));
  button.setAttribute('type', 'button');
  button.setAttribute('aria-label', 'Play voice message');
  const time = element('small', '', '0:00');
  const bars = element('span', 'bars', ...Array.from({ length: BARS }, () => element('i', '')));
  const draw = () => {
    const share = player.duration ? player.currentTime / player.duration : 0;
    [...bars.children].forEach((bar, part) => bar.classList.toggle('heard', part / BARS < share));
    time.textContent = minutes(player.paused && !player.currentTime ? player.duration : player.currentTime);
    button.replaceChildren(sign(player.paused ? PLAY : PAUSE));
    button.setAttribute('aria-label', player.paused ? 'Play voice message' : 'Pause voice message');
  };
  for (const event of ['timeupdate', 'play', 'pause', 'ended', 'loadedmetadata']) player.addEventListener(event, draw);
  button.addEventListener('click', () => void (player.paused ? player.play().catch(() => {}) : player.pause()));
  if (address) {
    void loudness(address).then((parts) => {
      [...bars.children].forEach((bar, part) => /** @type {HTMLElement} */ (bar).style.setProperty('--loud', String(parts[part] ?? 0)));
    });
  }
  return element('div', 'voice', button, bars, time, player);
}
