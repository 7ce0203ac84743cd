// The library's events: listeners by name.

/** @import { Events } from './surface.js' */

export class Emitter {
  /** @type {Map<keyof Events, Set<(value: any) => void>>} */
  #listeners = new Map();
  /** What stands between an event and its listeners. @type {(event: keyof Events, emit: () => void) => void} */
  through = (_event, emit) => emit();

  /** @template {keyof Events} E @param {E} event @param {(value: Events[E]) => void} listener */
  on(event, listener) {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener));
    return this;
  }

  /** @template {keyof Events} E @param {E} event @param {(value: Events[E]) => void} listener */
  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
    return this;
  }

  /** @template {keyof Events} E @param {E} event @param {(value: Events[E]) => void} listener */
  once(event, listener) {
    /** @param {Events[E]} value */
    const first = (value) => {
      this.off(event, first);
      listener(value);
    };
    return this.on(event, first);
  }

  /** @template {keyof Events} E @param {E} event @param {Events[E]} value */
  emit(event, value) {
    this.through(event, () => this.#tell(event, value));
  }

  /** @template {keyof Events} E @param {E} event @param {Events[E]} value */
  #tell(event, value) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        console.error(`a listener of ${event} failed`, error);
      }
    }
  }
}
