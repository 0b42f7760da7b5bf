// A login that stays complete.
import { insist, post, Socket, type Params } from "./socket.js";
import { Ended, Refusal, type Config, type Event, type Message, type Receipt, type Saved, type Sent, type User } from "./types.js";
import { backOff, Lost, Notice, pause, repeatable, retryAfter, second } from "./wait.js";

interface Synced {
  conversations: { conversation: string; head_seq: number; events: Event[]; complete: boolean; reset: boolean; left?: boolean }[];
  user_seq: number;
  epoch: string;
  position: string;
  next?: string;
}

const receiptsASecond = 20;
const aliveEvery = 25 * second;
const renewBefore = 300 * second;

/** One login. */
export class Session {
  private saved: Saved;
  /** The socket that is open, and the same one once it is ready for calls. */
  private present: Socket | undefined;
  private socket: Socket | undefined;
  private ended: unknown;
  private closed = false;
  private gateway = 0;
  private handled = new Map<string, number>();
  private turns = new Map<string, Promise<unknown>>();
  private changed: Notice = new Notice();
  private closing: Notice = new Notice();

  /** Logs in with a password. */
  static async login(config: Config, username: string, password: string): Promise<Session> {
    const request: Params = { username, password, device_name: config.deviceName ?? config.name ?? "mpim-ts/1" };
    if (config.deviceId) request.device_id = config.deviceId;
    let failure: unknown;
    for (const url of config.urls) {
      try {
        return new Session(config, await post<Saved>(url, "/v1/sessions", request));
      } catch (error) {
        failure = error;
        if (error instanceof Refusal) break;
      }
    }
    throw failure ?? new Error("no gateway is named");
  }

  /** Goes on with a session that was saved. */
  constructor(private readonly config: Config, saved: Saved) {
    this.saved = { ...saved, standing: { ...saved.standing } };
  }

  /** What the constructor needs to go on. Events that were handled by now do not come again. */
  save(): Saved {
    return { ...this.saved, standing: { ...this.saved.standing } };
  }

  get user(): User {
    return this.saved.user;
  }

  /** Connects, and connects again, until close is called. It rejects with Ended where connecting again is no use. */
  async run(): Promise<void> {
    let attempt = 0;
    while (!this.closed) {
      const end = await this.once();
      this.use(undefined);
      if (this.closed) break;
      this.config.onConnected?.(false, end.error);
      const final = end.error instanceof Ended ? end.error : finality(end.code, end.error);
      if (final) {
        this.ended = final;
        this.use(undefined);
        throw final;
      }
      if (end.worked) attempt = 0;
      this.gateway++;
      if (end.code === 4000 && end.worked) continue; // at once, elsewhere
      await Promise.race([pause(backOff(attempt++)), this.closing.wait]);
    }
  }

  /** Ends run, and with it every call that waits. */
  close(): void {
    this.closed = true;
    this.ended = new Error("the session was closed");
    this.present?.close();
    this.closing.give();
    this.use(undefined);
  }

  /**
   * Calls any operation by its method. While there is no connection it waits for one, and what was lost on the way or refused as
   * unavailable is sent again: give what creates something a client_id, and it is created once. It rejects with a Refusal.
   */
  async call<T = Params>(method: string, params: object = {}): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await (await this.ready()).call<T>(method, params);
      } catch (error) {
        if (!repeatable(error)) throw error;
        await pause(retryAfter(error) + backOff(error instanceof Lost ? 0 : attempt));
      }
    }
  }

  /** Puts a message into the log. Messages to one destination are there in the order of the calls. */
  async send(message: Message): Promise<Sent> {
    const request = { ...message, client_id: message.client_id ?? crypto.randomUUID() };
    const destination = JSON.stringify(message.to);
    const before = this.turns.get(destination);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return this.call<Sent>("message.send", request);
    })();
    this.turns.set(destination, mine);
    try {
      return await mine;
    } finally {
      if (this.turns.get(destination) === mine) this.turns.delete(destination);
    }
  }

  /** Moves the user's read cursor in a conversation. */
  async read(conversation: string, seq: number): Promise<void> {
    await this.call("receipt.read", { conversation, read_seq: seq });
  }

  private use(socket: Socket | undefined): void {
    this.socket = socket;
    this.changed.give();
    this.changed = new Notice();
  }

  private async ready(): Promise<Socket> {
    for (;;) {
      if (this.socket) return this.socket;
      if (this.ended) throw this.ended;
      await this.changed.wait;
    }
  }

  /** Holds one socket, and says how it ended. */
  private async once(): Promise<{ worked: boolean; code: number; error: unknown }> {
    const url = this.config.urls[this.gateway % this.config.urls.length] ?? "";
    let socket: Socket | undefined;
    let worked = false;
    let clock: ReturnType<typeof setInterval> | undefined;
    try {
      await this.renewOver(url);
      this.present = socket = await Socket.open(url);
      if (this.closed) throw new Lost();
      const params: Params = { token: this.saved.token, client: this.config.name ?? "mpim-ts/1" };
      if (this.saved.connection) params.resume = { connection: this.saved.connection };
      const hello = await socket.call<{ connection: string }>("hello", params);
      this.saved.connection = hello.connection;
      await this.catchUp(socket);
      const open = socket;
      this.use(open);
      worked = true;
      this.config.onConnected?.(true);
      clock = setInterval(() => void this.tend(open).catch(() => undefined), second);
      for (let push = await open.next(); push; push = await open.next()) await this.handle(open, push.method, push.params);
      throw new Lost();
    } catch (error) {
      clearInterval(clock);
      if (this.closed || !(error instanceof Lost)) socket?.close();
      const code = socket ? await socket.gone : 0;
      if (error instanceof Refusal && error.code === "unauthenticated") return { worked, code, error: new Ended("logged out", error.message) };
      return { worked, code, error };
    }
  }

  private async handle(socket: Socket, method: string, params: Params): Promise<void> {
    switch (method) {
      case "event": {
        const event = params as unknown as Event;
        const standing = this.standing(event.conversation);
        if (event.seq <= standing) return;
        if (event.seq === standing + 1) return this.deliver(event);
        return this.catchUp(socket, [event.conversation]);
      }
      case "resync":
        return this.catchUp(socket);
      case "receipt":
        return this.config.onReceipt?.(params as unknown as Receipt);
      default:
        this.config.onPush?.(method, params);
    }
  }

  private standing(conversation: string): number {
    return this.saved.standing?.[conversation] ?? 0;
  }

  private stand(conversation: string, seq: number): void {
    if (seq <= this.standing(conversation)) return;
    (this.saved.standing ??= {})[conversation] = seq;
    this.handled.set(conversation, seq);
  }

  private async deliver(event: Event): Promise<void> {
    await this.config.onEvent?.(event);
    this.stand(event.conversation, event.seq);
  }

  /** Calls sync until nothing is missing, in the conversations that are named or in all. */
  private async catchUp(socket: Socket, only?: string[]): Promise<void> {
    do only = await this.pages(socket, only);
    while (only.length > 0);
  }

  /** Reads all pages of one sync, and returns the conversations of which there is more. */
  private async pages(socket: Socket, only?: string[]): Promise<string[]> {
    const params: Params = { since: this.save().standing, user_seq: this.saved.user_seq ?? 0 };
    if (only) Object.assign(params, { only: true, since: Object.fromEntries(only.map((id) => [id, this.standing(id)])) });
    const kept = this.saved.epoch;
    if (kept) params.epoch = kept;
    const unfinished: string[] = [];
    for (;;) {
      const page = await insist<Synced>(socket, "sync", params);
      if (kept && kept !== page.epoch && this.saved.epoch !== page.epoch) {
        // Those sequences mean other events now.
        this.saved.standing = {};
        this.handled.clear();
      }
      this.saved.epoch = page.epoch;
      unfinished.push(...(await this.apply(page)));
      this.saved.user_seq = page.user_seq;
      if (!page.next) return unfinished;
      params.after = page.next;
    }
  }

  private async apply(page: Synced): Promise<string[]> {
    const unfinished: string[] = [];
    for (const c of page.conversations) {
      if (c.reset) {
        await this.config.onReset?.({ conversation: c.conversation, head_seq: c.head_seq, position: page.position });
        (this.saved.standing ??= {})[c.conversation] = c.head_seq;
      }
      for (const event of c.events) if (event.seq > this.standing(c.conversation)) await this.deliver(event);
      if (c.complete) this.stand(c.conversation, c.head_seq);
      else unfinished.push(c.conversation);
      if (c.left && c.complete) this.config.onLeft?.(c.conversation);
    }
    return unfinished;
  }

  /** Sends what is due by the clock: acknowledgements, signs of life, new tokens. */
  private async tend(socket: Socket): Promise<void> {
    if (socket.tending) return;
    socket.tending = true;
    try {
      for (const [conversation, seq] of [...this.handled].slice(0, receiptsASecond)) {
        this.handled.delete(conversation);
        try {
          await socket.call("receipt.delivered", { conversation, delivered_seq: seq });
        } catch (error) {
          if (repeatable(error)) this.handled.set(conversation, Math.max(seq, this.handled.get(conversation) ?? 0));
        }
      }
      if (Date.now() - socket.heard > aliveEvery) await socket.alive();
      if (Date.parse(this.saved.expires_at) - Date.now() < renewBefore) {
        this.adopt(await socket.call<Saved>("session.refresh", { refresh_token: this.saved.refresh_token }));
      }
    } finally {
      socket.tending = false;
    }
  }

  /** Trades the tokens over REST where they have ended, or nearly so. */
  private async renewOver(url: string): Promise<void> {
    if (Date.parse(this.saved.expires_at) - Date.now() > 60 * second) return;
    try {
      this.adopt(await post<Saved>(url, "/v1/sessions/refresh", { refresh_token: this.saved.refresh_token }));
    } catch (error) {
      if (error instanceof Refusal && error.code === "unauthenticated") throw new Ended("logged out", error.message);
      throw error;
    }
  }

  private adopt(fresh: Saved): void {
    const { token, refresh_token, expires_at } = fresh;
    Object.assign(this.saved, { token, refresh_token, expires_at });
  }
}

function finality(code: number, error: unknown): Ended | undefined {
  if (code < 4100 || code > 4199) return undefined;
  if (code === 4102) return new Ended("suspended", "the account is suspended");
  if (code <= 4101) return new Ended("logged out", "the session has ended: log in again");
  return new Ended("refused", `the server refused what was sent (${code}): ${String(error)}`);
}
