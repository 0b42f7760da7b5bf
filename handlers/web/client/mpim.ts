// A client of the MPIM protocol for browsers, and for any runtime that has WebSocket and fetch. It has no dependencies.
//
// It keeps one socket open by the rules of the close codes, resumes, catches up, acknowledges what was handled, and sends
// again under the same client id what has no answer yet. Each event is handed over once and in order of its sequence.
export { Session } from "./session.js";
export * from "./types.js";
