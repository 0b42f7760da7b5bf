// One connection, and requests that need none.
import { Refusal } from "./types.js";
import { backOff, Lost, Notice, pause, repeatable, retryAfter, second } from "./wait.js";

export type Params = Record<string, unknown>;

const answerTime = 20 * second;
const maxQueue = 10_000;

/** One connection, from its opening to its end. */
export class Socket {
  /** The close code, once the socket is gone. */
  readonly gone: Promise<number>;
  heard = Date.now();
  tending = false;
  private waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  private pushes: { method: string; params: Params }[] = [];
  private came = new Notice();
  private lost = false;
  private nextId = 1;

  static open(url: string): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const raw = new WebSocket(url.replace(/^http/, "ws").replace(/\/$/, "") + "/v1/ws", "mpim.v1.json");
      const socket = new Socket(raw);
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

  private constructor(private readonly raw: WebSocket) {
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

  close(): void {
    this.raw.close(1000);
  }

  call<T = Params>(method: string, params: object): Promise<T> {
    if (this.lost || this.raw.readyState !== WebSocket.OPEN) return Promise.reject(new Lost());
    const id = this.nextId++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.raw.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Waits for the next push; undefined when the socket is gone. */
  async next(): Promise<{ method: string; params: Params } | undefined> {
    while (this.pushes.length === 0 && !this.lost) {
      this.came = new Notice();
      await this.came.wait;
    }
    return this.pushes.shift();
  }

  /** Gives up a socket whose server does not answer: on a line that lost everything nothing else would tell. */
  async alive(): Promise<void> {
    const late = setTimeout(() => this.close(), answerTime);
    try {
      await this.call("ping", {});
    } finally {
      clearTimeout(late);
    }
  }

  private take(text: string): void {
    this.heard = Date.now();
    const message = JSON.parse(text) as Frame | Frame[];
    for (const frame of Array.isArray(message) ? message : [message]) {
      if (frame.method !== undefined) {
        this.pushes.push({ method: frame.method, params: frame.params ?? {} });
        continue;
      }
      const waiting = frame.id == null ? undefined : this.waiting.get(frame.id);
      if (!waiting || frame.id == null) continue;
      this.waiting.delete(frame.id);
      const refused = frame.error;
      if (!refused) waiting.resolve(frame.result);
      else waiting.reject(new Refusal(refused.data?.code ?? "internal", refused.message, refused.data?.retry_after_ms, refused.data?.request_id));
    }
    if (this.pushes.length > maxQueue) this.close(); // catching up is cheaper than memory without a bound
    this.came.give();
  }
}

interface Frame {
  id?: number | null;
  method?: string;
  params?: Params;
  result?: unknown;
  error?: { message: string; data?: { code?: string; retry_after_ms?: number; request_id?: string } };
}

/** Repeats a call over this socket while the server says that it may be repeated. */
export async function insist<T>(socket: Socket, method: string, params: object): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await socket.call<T>(method, params);
    } catch (error) {
      if (error instanceof Lost || !repeatable(error)) throw error;
      await Promise.race([pause(retryAfter(error) + backOff(attempt)), socket.gone]);
    }
  }
}

export async function post<T>(base: string, path: string, body: object): Promise<T> {
  const answer = await fetch(base.replace(/\/$/, "") + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const result = (await answer.json()) as T & { code?: string; detail?: string; title?: string; retry_after_ms?: number };
  if (!answer.ok) throw new Refusal(result.code ?? "internal", result.detail ?? result.title ?? answer.statusText, result.retry_after_ms);
  return result;
}
