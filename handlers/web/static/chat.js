"use strict";
// One page, one socket. It keeps what it sends until it is acknowledged, drops what it has, and calls sync where a
// sequence is missing: see the client protocol.

const $ = (id) => document.getElementById(id);
const store = sessionStorage; // one login a window, so that two windows can be two people
const state = {
  login: null, socket: null, connection: "", epoch: "", calls: new Map(), nextId: 1, retry: 0, closing: false, ready: false,
  conversations: new Map(), current: "", names: new Map(), outbox: [], typing: new Map(), presence: new Map(),
};

// ---- REST, for what comes before a socket
async function rest(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (state.login) headers.Authorization = `Bearer ${state.login.token}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const result = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(result.detail || result.title || "failed"), { code: result.code });
  return result;
}

// ---- the socket
function call(method, params = {}) {
  return new Promise((resolve, reject) => {
    if (!state.socket || state.socket.readyState !== WebSocket.OPEN) return reject(new Error("not connected"));
    const id = state.nextId++;
    state.calls.set(id, { resolve, reject });
    state.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  });
}

function connect() {
  say("connecting…");
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`, "mpim.v1.json");
  state.socket = socket;
  let heard = setTimeout(() => socket.close(), 15000);
  socket.onopen = async () => {
    try {
      await freshen();
      const params = { token: state.login.token, client: "mpim-web/1" };
      if (state.connection) params.resume = { connection: state.connection };
      const hello = await call("hello", params);
      clearTimeout(heard);
      state.connection = hello.connection;
      state.retry = 0;
      if (state.epoch && state.epoch !== hello.epoch) state.conversations.clear();
      state.epoch = hello.epoch;
      await synchronise();
      state.ready = true;
      say("online");
      flush();
    } catch (error) { say(error.message); socket.close(); }
  };
  socket.onmessage = (message) => {
    const frames = JSON.parse(message.data);
    for (const frame of Array.isArray(frames) ? frames : [frames]) receive(frame);
  };
  socket.onclose = (event) => {
    clearTimeout(heard);
    state.ready = false;
    for (const waiting of state.calls.values()) waiting.reject(new Error("connection lost"));
    state.calls.clear();
    if (state.closing) return;
    if (event.code >= 4100 && event.code < 4200) return leave(event.code === 4102 ? "This account is suspended." : "Please log in again.");
    const wait = event.code === 4000 ? Math.random() * 500 : Math.min(15000, 500 * 2 ** state.retry++) * (0.5 + Math.random() / 2);
    say(`offline, trying again in ${Math.ceil(wait / 1000)} s`);
    setTimeout(connect, wait);
  };
}

function receive(frame) {
  if (frame.id !== undefined && (frame.result !== undefined || frame.error)) {
    const waiting = state.calls.get(frame.id);
    state.calls.delete(frame.id);
    if (!waiting) return;
    if (frame.error) waiting.reject(Object.assign(new Error(frame.error.message), { code: frame.error.data && frame.error.data.code }));
    else waiting.resolve(frame.result);
    return;
  }
  const p = frame.params;
  switch (frame.method) {
    case "event": take(p); break;
    case "resync": synchronise().catch((error) => say(error.message)); break;
    case "typing": typingSeen(p); break;
    case "presence": state.presence.set(p.user, p.status); drawHeader(); break;
    case "receipt": receiptSeen(p); break;
  }
}

// freshen renews the token before it expires.
async function freshen() {
  if (new Date(state.login.expires_at) - Date.now() > 60000) return;
  const renewed = await rest("POST", "/v1/sessions/refresh", { refresh_token: state.login.refresh_token });
  keep({ ...state.login, ...renewed });
}
setInterval(() => {
  if (!state.login || !state.ready || new Date(state.login.expires_at) - Date.now() > 300000) return;
  call("session.refresh", { refresh_token: state.login.refresh_token }).then((renewed) => keep({ ...state.login, ...renewed }), () => {});
}, 60000);

// ---- what is known of conversations
function conversation(id) {
  let c = state.conversations.get(id);
  if (!c) { c = { id, head: 0, messages: new Map(), notes: [], unread: 0, read: 0, info: null, cursors: new Map() }; state.conversations.set(id, c); }
  return c;
}

async function synchronise(only) {
  let after, again;
  do {
    const since = {};
    for (const c of state.conversations.values()) if (c.head && (!only || c.id === only)) since[c.id] = c.head;
    const answer = await call("sync", { since, epoch: state.epoch, ...(only ? { only: true } : {}), ...(after ? { after } : {}) });
    let more = false;
    for (const item of answer.conversations) {
      const c = conversation(item.conversation);
      if (item.left && !item.events.length) { state.conversations.delete(c.id); continue; }
      if (item.reset) await reload(c, item, answer.position);
      for (const event of item.events) apply(c, event);
      if (item.complete) c.head = Math.max(c.head, item.head_seq); else more = true;
      c.unread = item.unread;
      c.read = Math.max(c.read, item.read_seq);
    }
    after = answer.next;
    again = Boolean(after) || more;
  } while (again);
  await refreshList();
}

async function reload(c, item, position) {
  c.messages.clear();
  c.head = item.head_seq;
  const page = await call("message.history", { conversation: c.id, after_position: position });
  for (const m of page.messages) c.messages.set(m.seq, m);
}

async function refreshList() {
  const list = await call("conversation.list", { limit: 100 });
  for (const info of list.conversations) {
    const c = conversation(info.conversation);
    c.info = info;
    c.unread = info.unread;
    c.read = Math.max(c.read, info.read_seq);
    if (info.peer) learn(info.peer);
  }
  draw();
}

// take handles a pushed event: drops what it has, asks for what is missing.
function take(event) {
  const c = conversation(event.conversation);
  if (event.seq <= c.head) return;
  if (event.seq > c.head + 1 && c.head > 0) { synchronise(c.id).catch((error) => say(error.message)); return; }
  apply(c, event);
  if (!c.info || !event.type.startsWith("message.")) refreshList().catch(() => {});
  if (event.type === "message.sent") {
    state.typing.delete(event.actor);
    drawTyping();
    if (event.actor !== state.login.user.id) c.unread++;
  }
  acknowledge(c);
  draw();
}

function apply(c, event) {
  if (event.seq <= c.head && c.messages.has(event.seq)) return;
  c.head = Math.max(c.head, event.seq);
  learn(event.actor);
  const d = event.data;
  switch (event.type) {
    case "message.sent":
      c.messages.set(event.seq, { seq: event.seq, sender: event.actor, at: event.at, body: d.body, client_id: d.client_id });
      if (event.actor === state.login.user.id) state.outbox = state.outbox.filter((o) => o.client_id !== d.client_id);
      break;
    case "message.edited": { const m = c.messages.get(d.message); if (m && m.body && d.body) { m.body = d.body; m.edited_at = event.at; } break; }
    case "message.recalled": case "message.expired": { const m = c.messages.get(d.message); if (m) m.body = null; break; }
    default: c.messages.set(event.seq, { seq: event.seq, note: note(event) });
  }
}

function note(event) {
  const who = () => nameOf(event.actor), whom = () => nameOf(event.data.user);
  switch (event.type) {
    case "conversation.created": return () => `${who()} began this conversation`;
    case "member.added": learn(event.data.user); return () => `${who()} added ${whom()}`;
    case "member.removed": learn(event.data.user); return () => `${who()} removed ${whom()}`;
    case "member.left": return () => `${whom()} left`;
    default: return () => event.type;
  }
}

// ---- receipts, at most one a second
let acknowledging = null;
function acknowledge(c) {
  if (acknowledging) return;
  acknowledging = setTimeout(() => {
    acknowledging = null;
    for (const each of state.conversations.values()) {
      if (!state.ready || !each.head) continue;
      if (each.acknowledged !== each.head) {
        each.acknowledged = each.head;
        call("receipt.delivered", { conversation: each.id, delivered_seq: each.head }).catch(() => {});
      }
      if (each.id === state.current && document.visibilityState === "visible" && each.read < each.head) {
        each.read = each.head; each.unread = 0;
        call("receipt.read", { conversation: each.id, read_seq: each.head }).catch(() => {});
        drawList();
      }
    }
  }, 1000);
}
document.addEventListener("visibilitychange", () => { const c = state.conversations.get(state.current); if (c) acknowledge(c); });

function receiptSeen(p) {
  const c = state.conversations.get(p.conversation);
  if (!c || p.user === state.login.user.id) return;
  if (p.read_seq) c.cursors.set(p.user, Math.max(c.cursors.get(p.user) || 0, p.read_seq));
  if (p.conversation === state.current) drawMessages();
}

// ---- sending: the same client id until it is acknowledged
function send(text) {
  const entry = { to: { conversation: state.current }, client_id: crypto.randomUUID(), body: { type: "text", text } };
  state.outbox.push(entry);
  drawMessages();
  if (state.ready) post(entry);
}
function flush() { for (const entry of [...state.outbox]) post(entry); }
async function post(entry) {
  try {
    const sent = await call("message.send", entry);
    state.outbox = state.outbox.filter((o) => o !== entry);
    take({ conversation: sent.conversation, seq: sent.seq, type: "message.sent", at: sent.at, actor: state.login.user.id, data: { client_id: entry.client_id, body: entry.body } });
    draw();
  } catch (error) {
    if (error.code === "unavailable" || error.code === "rate_limited") setTimeout(() => post(entry), 1500);
    else if (error.code) { state.outbox = state.outbox.filter((o) => o !== entry); say(error.message); drawMessages(); }
  }
}

// ---- names
function learn(id) {
  if (!id || state.names.has(id)) return;
  state.names.set(id, "…");
  rest("GET", `/v1/users/${id}`).then(({ user }) => { state.names.set(id, user.display_name || user.username); draw(); }, () => state.names.delete(id));
}
const nameOf = (id) => (id === state.login.user.id ? "You" : state.names.get(id) || "…");
function titleOf(c) {
  if (!c.info) return "…";
  return c.info.kind === "direct" ? state.names.get(c.info.peer) || "…" : c.info.title;
}

// ---- drawing
function say(text) { $("state").textContent = text; }
function element(tag, text, className) { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (className) e.className = className; return e; }
function draw() { drawList(); drawHeader(); drawMessages(); }

function drawList() {
  const list = [...state.conversations.values()].filter((c) => c.info);
  const at = (c) => { const last = [...c.messages.values()].filter((m) => m.at).pop(); return (last && last.at) || c.info.updated_at; };
  list.sort((a, b) => (at(b) < at(a) ? -1 : 1));
  $("conversations").replaceChildren(...list.map((c) => {
    const item = element("li");
    item.tabIndex = 0;
    item.setAttribute("aria-current", String(c.id === state.current));
    item.append(element("span", titleOf(c)));
    item.append(c.unread > 0 ? element("span", c.unread > 999 ? "999+" : String(c.unread), "badge") : element("span"));
    const last = [...c.messages.values()].filter((m) => !m.note).pop() || c.info.last_message;
    item.append(element("span", last ? (last.body ? last.body.text : "(recalled)") : "", "last"));
    item.onclick = () => show(c.id);
    item.onkeydown = (e) => { if (e.key === "Enter") show(c.id); };
    return item;
  }));
}

function drawHeader() {
  const c = state.conversations.get(state.current);
  $("title").textContent = c ? titleOf(c) : "Choose a conversation";
  $("subtitle").textContent = c && c.info ? (c.info.kind === "direct" ? state.presence.get(c.info.peer) || "" : `${c.info.member_count} members`) : "";
  $("send-form").hidden = !c;
}

function drawMessages() {
  const c = state.conversations.get(state.current), list = $("messages");
  if (!c) return list.replaceChildren();
  const bottom = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const readBy = Math.max(0, ...c.cursors.values());
  const items = [...c.messages.values()].sort((a, b) => a.seq - b.seq).map((m) => {
    if (m.note) return element("li", m.note(), "note");
    const mine = m.sender === state.login.user.id, item = element("li", undefined, mine ? "mine" : "");
    const marks = `${m.edited_at ? " · edited" : ""}${mine && m.seq <= readBy ? " · read" : ""}`;
    item.append(element("span", `${nameOf(m.sender)} · ${new Date(m.at).toLocaleTimeString()}${marks}`, "who"));
    item.append(element("span", m.body ? m.body.text : "(recalled)", m.body ? "" : "pending"));
    if (mine && m.body) {
      const edit = element("button", "edit", "act"), recall = element("button", "recall", "act");
      edit.onclick = () => { const text = prompt("New text", m.body.text); if (text) change("message.edit", { conversation: c.id, seq: m.seq, body: { type: "text", text } }); };
      recall.onclick = () => change("message.recall", { conversation: c.id, seq: m.seq });
      item.append(edit, recall);
    }
    return item;
  });
  for (const entry of state.outbox) if (entry.to.conversation === c.id) items.push(element("li", entry.body.text, "mine pending"));
  list.replaceChildren(...items);
  if (bottom) list.scrollTop = list.scrollHeight;
}
function change(method, params) { call(method, params).catch((error) => say(error.message)); }

function typingSeen(p) {
  if (p.typing) state.typing.set(p.user, { conversation: p.conversation, until: Date.now() + 6000 }); else state.typing.delete(p.user);
  learn(p.user);
  drawTyping();
}
function drawTyping() {
  const names = [];
  for (const [user, t] of state.typing) {
    if (t.until < Date.now()) state.typing.delete(user);
    else if (t.conversation === state.current && user !== (state.login && state.login.user.id)) names.push(nameOf(user));
  }
  $("typing").textContent = names.length ? `${names.join(", ")} typing…` : "";
}
setInterval(drawTyping, 2000);

async function show(id) {
  state.current = id;
  const c = conversation(id);
  draw();
  try {
    if (![...c.messages.values()].some((m) => !m.note)) {
      const page = await call("message.history", { conversation: id });
      for (const m of page.messages) if (!c.messages.has(m.seq)) c.messages.set(m.seq, m);
    }
    const { conversation: info } = await call("conversation.get", { conversation: id });
    for (const cursor of info.cursors || []) if (cursor.user !== state.login.user.id) c.cursors.set(cursor.user, cursor.read_seq);
    const peers = [...state.conversations.values()].map((each) => each.info && each.info.peer).filter(Boolean).slice(0, 100);
    if (peers.length) for (const p of (await call("presence.watch", { users: peers })).presence) state.presence.set(p.user, p.status);
  } catch (error) { say(error.message); }
  acknowledge(c);
  draw();
  $("messages").scrollTop = $("messages").scrollHeight;
  $("send-form").elements.text.focus();
}

// ---- forms
$("login-form").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target, username = form.username.value, password = form.password.value;
  $("login-error").textContent = "";
  try {
    if (event.submitter && event.submitter.value === "register") await rest("POST", "/v1/accounts", { username, password, display_name: username });
    keep(await rest("POST", "/v1/sessions", { username, password, device_name: "Web" }));
    enter();
  } catch (error) { $("login-error").textContent = error.message; }
};

$("open-form").onsubmit = async (event) => {
  event.preventDefault();
  $("open-error").textContent = "";
  const names = event.target.who.value.split(/[\s,]+/).filter(Boolean);
  try {
    const users = [];
    for (const name of names) users.push((await rest("GET", `/v1/users/@${encodeURIComponent(name)}`)).user);
    for (const user of users) state.names.set(user.id, user.display_name || user.username);
    if (users.length === 1) {
      const known = [...state.conversations.values()].find((c) => c.info && c.info.peer === users[0].id);
      if (known) { event.target.reset(); return show(known.id); }
      const text = prompt(`First message to ${state.names.get(users[0].id)}`);
      if (!text) return;
      const sent = await call("message.send", { to: { user: users[0].id }, client_id: crypto.randomUUID(), body: { type: "text", text } });
      await synchronise();
      await show(sent.conversation);
    } else {
      const title = prompt("Name of the group", names.join(", "));
      if (!title) return;
      const made = await call("group.create", { title, members: users.map((u) => u.id), client_id: crypto.randomUUID() });
      await synchronise();
      await show(made.conversation.conversation);
    }
    event.target.reset();
  } catch (error) { $("open-error").textContent = error.message; }
};

let lastTyping = 0;
$("send-form").elements.text.oninput = () => {
  if (!state.ready || Date.now() - lastTyping < 3000) return;
  lastTyping = Date.now();
  call("typing.set", { conversation: state.current, typing: true }).catch(() => {});
};
$("send-form").onsubmit = (event) => {
  event.preventDefault();
  const text = event.target.text.value.trim();
  if (!text) return;
  event.target.reset();
  lastTyping = 0;
  send(text);
};

// ---- coming and going
function keep(login) { state.login = login; store.setItem("mpim", JSON.stringify(login)); }
function enter() {
  $("login").hidden = true;
  $("chat").hidden = false;
  $("me").textContent = state.login.user.display_name || state.login.user.username;
  state.closing = false;
  connect();
}
function leave(message) {
  state.closing = true;
  if (state.socket) state.socket.close(1000);
  store.removeItem("mpim");
  Object.assign(state, { login: null, connection: "", epoch: "", conversations: new Map(), current: "", outbox: [], ready: false });
  $("chat").hidden = true;
  $("login").hidden = false;
  $("login-error").textContent = message || "";
}
$("logout").onclick = async () => {
  try { await rest("DELETE", "/v1/sessions/current"); } catch { /* the session is gone either way */ }
  leave();
};

const kept = store.getItem("mpim");
if (kept) { state.login = JSON.parse(kept); enter(); } else { $("login").hidden = false; }
