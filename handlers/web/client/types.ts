// What the client takes and gives.

/** Something that happened in a conversation; the protocol says what data holds for each type. */
export interface Event {
  conversation: string;
  seq: number;
  event: string;
  type: string;
  at: string;
  actor: string;
  data: Record<string, unknown>;
}

/** What a message says. */
export type Body =
  | { type: "text"; text: string }
  | { type: "file"; url: string; name: string; size: number; mime: string }
  | { type: "custom"; data: unknown };

/** Where a message goes. The direct conversation with a user begins with the first message. */
export type To = { user: string } | { conversation: string };

export interface Message {
  to: To;
  /** Makes sending safe to repeat, over reloads too. Drawn where it is left out. */
  client_id?: string;
  body: Body;
  reply_to?: number;
  mentions?: string[];
  expires_in_s?: number;
}

/** A message that is in the log. */
export interface Sent {
  conversation: string;
  seq: number;
  event: string;
  at: string;
  duplicate: boolean;
  durability: "appended" | "replicated" | "fsynced";
  position: string;
}

export interface User {
  id: string;
  username: string;
  display_name: string;
  avatar_url: string;
  created_at: string;
}

/** The copy of a conversation is no longer good: page message.history with position as after_position. Events go on above head_seq. */
export interface Reset {
  conversation: string;
  head_seq: number;
  position: string;
}

/** How far a member has come; what is absent did not move. */
export interface Receipt {
  conversation: string;
  user: string;
  delivered_seq?: number;
  read_seq?: number;
}

/** What a program keeps of a session to go on with it later. It holds secrets. */
export interface Saved {
  token: string;
  refresh_token: string;
  expires_at: string;
  session: string;
  user: User;
  connection?: string;
  epoch?: string;
  user_seq?: number;
  standing?: Record<string, number>;
}

/** Whom to connect to, and what to do with what comes. Handlers are called in order, one at a time. */
export interface Config {
  /** The gateways, such as ["https://chat.example.org"]; the next one is tried where one does not answer. */
  urls: string[];
  /** What the server is told of this program. */
  name?: string;
  deviceId?: string;
  deviceName?: string;
  onEvent?(event: Event): void | Promise<void>;
  /** Comes in place of events that are no longer to be had one by one. */
  onReset?(reset: Reset): void | Promise<void>;
  /** The user is no longer in a conversation; its last event came before. */
  onLeft?(conversation: string): void;
  onReceipt?(receipt: Receipt): void;
  /** Every other notification: typing, presence, notice, account, and what later versions add. */
  onPush?(method: string, params: Record<string, unknown>): void;
  /** The session is up to date and connected, or, with the reason, it is not. */
  onConnected?(up: boolean, reason?: unknown): void;
}

/** A refusal of the server; code says what can be done about it. */
export class Refusal extends Error {
  constructor(readonly code: string, message: string, readonly retryAfter = 0, readonly requestId = "") {
    super(message);
    this.name = "Refusal";
  }
}

/** Why run ends although nobody called close: connecting again is no use. */
export class Ended extends Error {
  constructor(readonly reason: "logged out" | "suspended" | "refused", message: string) {
    super(message);
    this.name = "Ended";
  }
}
