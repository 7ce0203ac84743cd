/**
 * The part of wa-js' surface that the sandbox offers, derived from the package's own declarations: parameters as they
 * are there, results with the parts of each page model that the sandbox has. Types only; nothing loads this file.
 */
import type * as Wpp from '@wppconnect/wa-js';
import type { Contact, Content } from './stanzas.js';

type RealWid = Wpp.whatsapp.Wid;
type RealKey = Wpp.whatsapp.MsgKey;
type RealMsg = Wpp.whatsapp.MsgModel;
type RealChat = Wpp.whatsapp.ChatModel;
type RealContact = Wpp.whatsapp.ContactModel;
type RealParticipant = Wpp.whatsapp.ParticipantModel;

export type Wid = Pick<RealWid, 'user' | 'server' | '_serialized' | 'toString' | 'equals' | 'isLid' | 'isUser' | 'isGroup'>;
export type MsgKey = Pick<RealKey, 'fromMe' | 'id' | '_serialized' | 'toString'> & { remote: Wid };
export type Msg = Pick<RealMsg, 'body' | 'type' | 't' | 'isNewMsg' | 'isSendFailure'> & Partial<Pick<RealMsg,
  | 'caption' | 'mimetype' | 'filename' | 'lat' | 'lng' | 'loc' | 'vcardFormattedName' | 'quotedStanzaID' | 'pollName'
  | 'pollOptions' | 'pollSelectableOptionsCount'
>> & {
  id: MsgKey;
  ack: NonNullable<RealMsg['ack']>;
  from: Wid;
  to: Wid;
};
export type Chat = Pick<RealChat, 'name' | 'formattedTitle' | 'unreadCount' | 't'> & { id: Wid };
export type Person = Pick<RealContact, 'name' | 'pushname' | 'isMe' | 'isUser'> & { id: Wid };
export type Participant = Pick<RealParticipant, 'isAdmin' | 'isSuperAdmin'> & { id: Wid };

/** A real type with its page models cut down to ours, enums opened to their values. */
export type Part<T> = T extends RealWid ? Wid
  : T extends RealKey ? MsgKey
  : T extends RealMsg ? Msg
  : T extends RealChat ? Chat
  : T extends RealContact ? Person
  : T extends RealParticipant ? Participant
  : T extends number | boolean | null | undefined | symbol | bigint ? T
  : T extends string ? `${T}`
  : T extends (infer E)[] ? Part<E>[]
  : T extends object ? { [K in keyof T]: Part<T[K]> }
  : T;

type Like<F> = F extends (...args: infer A) => Promise<infer R> ? (...args: A) => Promise<Part<R>>
  : F extends (...args: infer A) => infer R ? (...args: A) => Part<R>
  : never;
type Namespace<N, K extends keyof N> = { [P in K]: Like<N[P]> };

type RealEvents = Wpp.ev.ConnEventTypes & Pick<Wpp.ev.ChatEventTypes, 'chat.new_message' | 'chat.msg_ack_change' | 'chat.poll_response'>;
export type Events = {
  [E in Exclude<keyof RealEvents, 'conn.backend_event' | 'conn.link_code_error'>]: Part<RealEvents[E]>;
};

export type ChatSurface = Namespace<
  typeof Wpp.chat,
  | 'delete' | 'find' | 'getMessageACK' | 'list' | 'markIsComposing' | 'markIsPaused' | 'sendCreatePollMessage' | 'sendFileMessage'
  | 'sendLocationMessage' | 'sendTextMessage' | 'sendVCardContactMessage'
> & {
  getMessageById(id: string | RealKey): Promise<Msg>;
  getMessages(id: string | RealWid, options?: Wpp.chat.GetMessagesOptions): Promise<Msg[]>;
};
export type Options = Wpp.chat.SendMessageOptions;

export interface Surface {
  version: typeof Wpp.version;
  isInjected: typeof Wpp.isInjected;
  isReady: typeof Wpp.isReady;
  isFullReady: typeof Wpp.isFullReady;
  loader: Pick<typeof Wpp.loader, 'onReady' | 'onFullReady'>;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): unknown;
  once<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): unknown;
  off<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): unknown;
  conn: Namespace<
    typeof Wpp.conn,
    | 'getAuthCode' | 'getHistorySyncProgress' | 'getMyUserId' | 'getStreamData' | 'isAuthenticated' | 'isIdle'
    | 'getMyUserLid' | 'isMainReady' | 'isOnline' | 'isRegistered' | 'logout' | 'needsUpdate' | 'refreshQR'
    | 'startLinkDeviceCodeForPhoneNumber'
  >;
  chat: ChatSurface;
  contact: Namespace<typeof Wpp.contact, 'getPnLidEntry' | 'list' | 'queryWidExists'>;
  group: Namespace<typeof Wpp.group, 'getAllGroups' | 'getParticipants'>;
}

/** What a linked browser keeps of itself. */
export interface Identity {
  device: string;
  secret: string;
  staticKeyPair: string;
  identityKeyPair: string;
  secretKey: string;
}
export interface Session extends Identity { me: Contact }

/** Rows in IndexedDB. `key` is WhatsApp's serialized message key, `votes` the numbers of the choices voted for. */
export interface MessageRow {
  key: string; chat: string; id: string; fromMe: boolean; body: string; content: Content; quoted: string | null;
  votes: number[]; t: number; ack: number; isSendFailure: boolean;
}
export interface ChatRow { lid: string; number: string; name: string; t: number; unread: number; last: string | null }
