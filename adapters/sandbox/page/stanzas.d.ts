/** What goes over the wire between the page and the sandbox's server. Types only; nothing loads this file. */

export interface Contact { number: string; lid: string; name: string }
export interface Group { id: string; name: string; participants: Contact[] }

/** What one message says. A file is named by its SHA-256: uploaded to `/wire/media/<digest>` before the message. */
export type Content =
  | { kind: 'text'; text: string; mentions?: string[] }
  | { kind: FileKind; media: string; mimetype: string; filename: string; caption: string; mentions?: string[] }
  | { kind: 'location'; latitude: number; longitude: number; name: string; address: string }
  | { kind: 'contact'; name: string; number: string }
  | { kind: 'poll'; question: string; choices: string[]; selectable: number };
export type FileKind = 'image' | 'video' | 'audio' | 'voice' | 'document' | 'sticker';

/** `POST /wire/send`; `quoted` is the last part of the key of the message that this one answers. */
export interface Outgoing { id: string; lid: string; content: Content; quoted?: string | null }

/** What the server pushes, a line each. `mail` counts what came in for this account: the page says `/wire/got` for it. */
export type Stanza =
  | { type: 'ping' } | { type: 'bye' } | { type: 'forgotten' } | { type: 'reload' }
  | { type: 'logout'; reason?: string }
  | { type: 'faults'; armed: string[]; change: number }
  | { type: 'codes'; refs: string[]; first: number; next: number }
  | { type: 'paired'; me: Contact } | { type: 'online'; me: Contact }
  | { type: 'acks'; acks: Record<string, number> }
  | { type: 'receipt'; id: string; lid: string; ack: number }
  | ({ type: 'message'; mail: number; id: string; at: number; body: string; content: Content; quoted: string | null } & Contact)
  | { type: 'vote'; mail: number; id: string; lid: string; choices: number[]; at: number };

/** `stuck`: no answer came, and the outbox keeps the message; `hang`: no answer will ever come. */
export type SendAnswer = { ack: number; at: number } | { nack: number | string } | { hang: true } | { stuck: true };
