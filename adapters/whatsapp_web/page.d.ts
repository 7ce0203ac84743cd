/** What drumline adds to WhatsApp Web's page, and what it says to Python. Types only; nothing loads this file. */
import type * as Library from '@wppconnect/wa-js';

declare global {
  type Wpp = typeof Library;

  /** What a message says; numbers without their `+`. The bytes of a file come beside it. */
  type Said =
    | { kind: 'text'; text: string; mentions: string[] }
    | { kind: 'image' | 'video' | 'audio' | 'voice' | 'document' | 'sticker'; mimetype: string; filename: string; caption: string; mentions: string[] }
    | { kind: 'location'; latitude: number; longitude: number; name: string; address: string }
    | { kind: 'contact'; name: string; number: string }
    | { kind: 'poll'; question: string; choices: string[]; selectable: number };
  /** `before` is on the page's own clock; `bridge` names the page on whose clock it is. */
  type Order = { bridge: string; before: number; number: string; said: Said; waId: string; quoted: string | null };
  type Answer = { ack: number } | { rejected: string } | { uncertain: string };

  type Arrival = {
    kind: 'message'; id: string; type: string; at: number; number: string; lid: string; text: string; answers: string | null;
  };
  type News = { kind: 'ack'; ack: number; ids: string[] } | { kind: 'logout' } | Arrival;
  type Person = { number: string; lid: string; name: string };
  type Listed<T> = { total: number; items: T[] };

  interface Drumline {
    clock(): { bridge: string; now: number };
    look(since: number): Promise<unknown>;
    arrival(wpp: Wpp, message: Library.whatsapp.MsgModel): Promise<Arrival | null>;
    catchUp(since: number): Promise<Arrival[]>;
    refresh(): void;
    session(): { mode: string } | null;
    person(wpp: Wpp, id: Library.whatsapp.Wid): Promise<Omit<Person, 'name'>>;
    input(waId: string): HTMLInputElement;
    whois(wpp: Wpp, number: string): Promise<Library.whatsapp.Wid | null>;
    found(sent: [string, string][]): Promise<Record<string, number> | null>;
    send(order: Order): Promise<Answer>;
    typing(number: string, milliseconds: number): Promise<void>;
    exists(number: string): Promise<boolean | null>;
    forget(number: string): Promise<boolean | null>;
    linkCode(number: string): Promise<string | null>;
    logOut(): Promise<boolean | null>;
    numbers(lids: string[]): Promise<Record<string, string> | null>;
    own(): Omit<Person, 'name'> | null;
    contacts(search: string, offset: number, limit: number): Promise<Listed<Person> | null>;
    groups(search: string, offset: number, limit: number): Promise<Listed<{ id: string; name: string; members: number }> | null>;
    members(group: string, offset: number, limit: number): Promise<Listed<Person> | null>;
  }

  interface Window {
    WPP?: Wpp;
    drumline: Drumline;
    drumlineWake?: () => Promise<void>;
    /** WhatsApp Web's own module loader, as far as it is asked. */
    require?: (name: 'WAWebMsgCollection') => { MsgCollection: { getMessagesById(ids: string[]): Promise<unknown> } } | undefined;
  }
}
