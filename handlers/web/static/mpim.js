// client/types.ts
var Refusal = class extends Error {
  constructor(code, message, retryAfter2 = 0, requestId = "") {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter2;
    this.requestId = requestId;
    this.name = "Refusal";
  }
  code;
  retryAfter;
  requestId;
};
var Ended = class extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
    this.name = "Ended";
  }
  reason;
};

// client/wait.ts
var second = 1e3;
var Lost = class extends Error {
  constructor() {
    super("the connection was lost");
  }
};
var Notice = class {
  give = () => void 0;
  wait = new Promise((resolve) => this.give = resolve);
};
function repeatable(error) {
  return error instanceof Lost || error instanceof Refusal && (error.code === "unavailable" || error.code === "rate_limited");
}
function retryAfter(error) {
  return error instanceof Refusal ? error.retryAfter : 0;
}
function backOff(attempt) {
  return Math.random() * Math.min(250 * 2 ** Math.min(attempt, 10), 15 * second);
}
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// client/socket.ts
var answerTime = 20 * second;
var maxQueue = 1e4;
var Socket = class _Socket {
  constructor(raw) {
    this.raw = raw;
    raw.onmessage = (message) => this.take(String(message.data));
    this.gone = new Promise((resolve) => {
      raw.onclose = (event) => {
        this.lost = true;
        for (const { reject } of this.waiting.values()) reject(new Lost());
        this.waiting.clear();
        this.came.give();
        resolve(event.code);
      };
    });
  }
  raw;
  /** The close code, once the socket is gone. */
  gone;
  heard = Date.now();
  tending = false;
  waiting = /* @__PURE__ */ new Map();
  pushes = [];
  came = new Notice();
  lost = false;
  nextId = 1;
  static open(url) {
    return new Promise((resolve, reject) => {
      const raw = new WebSocket(url.replace(/^http/, "ws").replace(/\/$/, "") + "/v1/ws", "mpim.v1.json");
      const socket = new _Socket(raw);
      const late = setTimeout(() => raw.close(), answerTime);
      raw.onopen = () => {
        clearTimeout(late);
        resolve(socket);
      };
      void socket.gone.then(() => {
        clearTimeout(late);
        reject(new Lost());
      });
    });
  }
  close() {
    this.raw.close(1e3);
  }
  call(method, params) {
    if (this.lost || this.raw.readyState !== WebSocket.OPEN) return Promise.reject(new Lost());
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.raw.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }
  /** Waits for the next push; undefined when the socket is gone. */
  async next() {
    while (this.pushes.length === 0 && !this.lost) {
      this.came = new Notice();
      await this.came.wait;
    }
    return this.pushes.shift();
  }
  /** Gives up a socket whose server does not answer: on a line that lost everything nothing else would tell. */
  async alive() {
    const late = setTimeout(() => this.close(), answerTime);
    try {
      await this.call("ping", {});
    } finally {
      clearTimeout(late);
    }
  }
  take(text) {
    this.heard = Date.now();
    const message = JSON.parse(text);
    for (const frame of Array.isArray(message) ? message : [message]) {
      if (frame.method !== void 0) {
        this.pushes.push({ method: frame.method, params: frame.params ?? {} });
        continue;
      }
      const waiting = frame.id == null ? void 0 : this.waiting.get(frame.id);
      if (!waiting || frame.id == null) continue;
      this.waiting.delete(frame.id);
      const refused = frame.error;
      if (!refused) waiting.resolve(frame.result);
      else waiting.reject(new Refusal(refused.data?.code ?? "internal", refused.message, refused.data?.retry_after_ms, refused.data?.request_id));
    }
    if (this.pushes.length > maxQueue) this.close();
    this.came.give();
  }
};
async function insist(socket, method, params) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await socket.call(method, params);
    } catch (error) {
      if (error instanceof Lost || !repeatable(error)) throw error;
      await Promise.race([pause(retryAfter(error) + backOff(attempt)), socket.gone]);
    }
  }
}
async function post(base, path, body) {
  const answer = await fetch(base.replace(/\/$/, "") + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body)
  });
  const result = await answer.json();
  if (!answer.ok) throw new Refusal(result.code ?? "internal", result.detail ?? result.title ?? answer.statusText, result.retry_after_ms);
  return result;
}

// client/session.ts
var receiptsASecond = 20;
var aliveEvery = 25 * second;
var renewBefore = 300 * second;
var Session = class _Session {
  /** Goes on with a session that was saved. */
  constructor(config, saved) {
    this.config = config;
    this.saved = { ...saved, standing: { ...saved.standing } };
  }
  config;
  saved;
  /** The socket that is open, and the same one once it is ready for calls. */
  present;
  socket;
  ended;
  closed = false;
  gateway = 0;
  handled = /* @__PURE__ */ new Map();
  turns = /* @__PURE__ */ new Map();
  changed = new Notice();
  closing = new Notice();
  /** Logs in with a password. */
  static async login(config, username, password) {
    const request = { username, password, device_name: config.deviceName ?? config.name ?? "mpim-ts/1" };
    if (config.deviceId) request.device_id = config.deviceId;
    let failure;
    for (const url of config.urls) {
      try {
        return new _Session(config, await post(url, "/v1/sessions", request));
      } catch (error) {
        failure = error;
        if (error instanceof Refusal) break;
      }
    }
    throw failure ?? new Error("no gateway is named");
  }
  /** What the constructor needs to go on. Events that were handled by now do not come again. */
  save() {
    return { ...this.saved, standing: { ...this.saved.standing } };
  }
  get user() {
    return this.saved.user;
  }
  /** Connects, and connects again, until close is called. It rejects with Ended where connecting again is no use. */
  async run() {
    let attempt = 0;
    while (!this.closed) {
      const end = await this.once();
      this.use(void 0);
      if (this.closed) break;
      this.config.onConnected?.(false, end.error);
      const final = end.error instanceof Ended ? end.error : finality(end.code, end.error);
      if (final) {
        this.ended = final;
        this.use(void 0);
        throw final;
      }
      if (end.worked) attempt = 0;
      this.gateway++;
      if (end.code === 4e3 && end.worked) continue;
      await Promise.race([pause(backOff(attempt++)), this.closing.wait]);
    }
  }
  /** Ends run, and with it every call that waits. */
  close() {
    this.closed = true;
    this.ended = new Error("the session was closed");
    this.present?.close();
    this.closing.give();
    this.use(void 0);
  }
  /**
   * Calls any operation by its method. While there is no connection it waits for one, and what was lost on the way or refused as
   * unavailable is sent again: give what creates something a client_id, and it is created once. It rejects with a Refusal.
   */
  async call(method, params = {}) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await (await this.ready()).call(method, params);
      } catch (error) {
        if (!repeatable(error)) throw error;
        await pause(retryAfter(error) + backOff(error instanceof Lost ? 0 : attempt));
      }
    }
  }
  /** Puts a message into the log. Messages to one destination are there in the order of the calls. */
  async send(message) {
    const request = { ...message, client_id: message.client_id ?? crypto.randomUUID() };
    const destination = JSON.stringify(message.to);
    const before = this.turns.get(destination);
    const mine = (async () => {
      await before?.catch(() => void 0);
      return this.call("message.send", request);
    })();
    this.turns.set(destination, mine);
    try {
      return await mine;
    } finally {
      if (this.turns.get(destination) === mine) this.turns.delete(destination);
    }
  }
  /** Moves the user's read cursor in a conversation. */
  async read(conversation, seq) {
    await this.call("receipt.read", { conversation, read_seq: seq });
  }
  use(socket) {
    this.socket = socket;
    this.changed.give();
    this.changed = new Notice();
  }
  async ready() {
    for (; ; ) {
      if (this.socket) return this.socket;
      if (this.ended) throw this.ended;
      await this.changed.wait;
    }
  }
  /** Holds one socket, and says how it ended. */
  async once() {
    const url = this.config.urls[this.gateway % this.config.urls.length] ?? "";
    let socket;
    let worked = false;
    let clock;
    try {
      await this.renewOver(url);
      this.present = socket = await Socket.open(url);
      if (this.closed) throw new Lost();
      const params = { token: this.saved.token, client: this.config.name ?? "mpim-ts/1" };
      if (this.saved.connection) params.resume = { connection: this.saved.connection };
      const hello = await socket.call("hello", params);
      this.saved.connection = hello.connection;
      await this.catchUp(socket);
      const open = socket;
      this.use(open);
      worked = true;
      this.config.onConnected?.(true);
      clock = setInterval(() => void this.tend(open).catch(() => void 0), second);
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
  async handle(socket, method, params) {
    switch (method) {
      case "event": {
        const event = params;
        const standing = this.standing(event.conversation);
        if (event.seq <= standing) return;
        if (event.seq === standing + 1) return this.deliver(event);
        return this.catchUp(socket, [event.conversation]);
      }
      case "resync":
        return this.catchUp(socket);
      case "receipt":
        return this.config.onReceipt?.(params);
      default:
        this.config.onPush?.(method, params);
    }
  }
  standing(conversation) {
    return this.saved.standing?.[conversation] ?? 0;
  }
  stand(conversation, seq) {
    if (seq <= this.standing(conversation)) return;
    (this.saved.standing ??= {})[conversation] = seq;
    this.handled.set(conversation, seq);
  }
  async deliver(event) {
    await this.config.onEvent?.(event);
    this.stand(event.conversation, event.seq);
  }
  /** Calls sync until nothing is missing, in the conversations that are named or in all. */
  async catchUp(socket, only) {
    do
      only = await this.pages(socket, only);
    while (only.length > 0);
  }
  /** Reads all pages of one sync, and returns the conversations of which there is more. */
  async pages(socket, only) {
    const params = { since: this.save().standing, user_seq: this.saved.user_seq ?? 0 };
    if (only) Object.assign(params, { only: true, since: Object.fromEntries(only.map((id) => [id, this.standing(id)])) });
    const kept = this.saved.epoch;
    if (kept) params.epoch = kept;
    const unfinished = [];
    for (; ; ) {
      const page = await insist(socket, "sync", params);
      if (kept && kept !== page.epoch && this.saved.epoch !== page.epoch) {
        this.saved.standing = {};
        this.handled.clear();
      }
      this.saved.epoch = page.epoch;
      unfinished.push(...await this.apply(page));
      this.saved.user_seq = page.user_seq;
      if (!page.next) return unfinished;
      params.after = page.next;
    }
  }
  async apply(page) {
    const unfinished = [];
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
  async tend(socket) {
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
        this.adopt(await socket.call("session.refresh", { refresh_token: this.saved.refresh_token }));
      }
    } finally {
      socket.tending = false;
    }
  }
  /** Trades the tokens over REST where they have ended, or nearly so. */
  async renewOver(url) {
    if (Date.parse(this.saved.expires_at) - Date.now() > 60 * second) return;
    try {
      this.adopt(await post(url, "/v1/sessions/refresh", { refresh_token: this.saved.refresh_token }));
    } catch (error) {
      if (error instanceof Refusal && error.code === "unauthenticated") throw new Ended("logged out", error.message);
      throw error;
    }
  }
  adopt(fresh) {
    const { token, refresh_token, expires_at } = fresh;
    Object.assign(this.saved, { token, refresh_token, expires_at });
  }
};
function finality(code, error) {
  if (code < 4100 || code > 4199) return void 0;
  if (code === 4102) return new Ended("suspended", "the account is suspended");
  if (code <= 4101) return new Ended("logged out", "the session has ended: log in again");
  return new Ended("refused", `the server refused what was sent (${code}): ${String(error)}`);
}
export {
  Ended,
  Refusal,
  Session
};
