// Waiting, and what may be repeated after it.
import { Refusal } from "./types.js";

export const second = 1000;

/** The connection was lost: what was asked may have arrived. */
export class Lost extends Error {
  constructor() {
    super("the connection was lost");
  }
}

/** Something to wait for, given once. */
export class Notice {
  give: () => void = () => undefined;
  readonly wait = new Promise<void>((resolve) => (this.give = resolve));
}

export function repeatable(error: unknown): boolean {
  return error instanceof Lost || (error instanceof Refusal && (error.code === "unavailable" || error.code === "rate_limited"));
}

export function retryAfter(error: unknown): number {
  return error instanceof Refusal ? error.retryAfter : 0;
}

/** How long to wait: a random part of a limit that doubles, so that those who lost the same gateway do not come back together. */
export function backOff(attempt: number): number {
  return Math.random() * Math.min(250 * 2 ** Math.min(attempt, 10), 15 * second);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
