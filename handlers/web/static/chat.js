// The page on which people talk. What must not be lost, doubled or reordered is the client's business; this draws it.
import { Session, Ended } from "./mpim.js";

const $ = (id) => document.getElementById(id);
const store = sessionStorage; // one login a window, so that two windows can be two people
let session = null;
const state = {
  ready: false, conversations: new Map(), current: "", names: new Map(), outbox: [], typing: new Map(), presence: new Map(),
};

// ---- the session
const base = location.origin;
async function rest(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (session) headers.Authorization = `Bearer ${session.save().token}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.detail || result.title || "failed");
  return result;
}

const config = {
  urls: [base], name: "mpim-web/1", deviceName: "Web",
  onEvent: take, onReset: reload, onReceipt: receiptSeen,
  onLeft(id) { state.conversations.delete(id); draw(); },
  onPush(method, p) {
    if (method === "typing") typingSeen(p);
    if (method === "presence") { state.presence.set(p.user, p.status); drawHeader(); }
  },
  onConnected(up, reason) {
    state.ready = up;
    say(up ? "online" : `offline, trying again${reason && reason.message ? ` (${reason.message})` : ""}`);
    if (up) refreshList().then(watch).catch((error) => say(error.message));
  },
};
const call = (method, params) => session.call(method, params);

// ---- what is known of conversations
function conversation(id) {
  let c = state.conversations.get(id);
  if (!c) { c = { id, head: 0, messages: new Map(), notes: [], unread: 0, read: 0, info: null, cursors: new Map() }; state.conversations.set(id, c); }
  return c;
}

async function reload({ conversation: id, position }) {
  const c = conversation(id);
  c.messages.clear();
  // Not awaited: events wait for this to return, and the calls for the events.
  call("message.history", { conversation: id, after_position: position }).then((page) => {
    for (const m of page.messages) if (!c.messages.has(m.seq)) c.messages.set(m.seq, m);
    draw();
  }, (error) => say(error.message));
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

// take handles an event; the session hands over each one once and in order.
function take(event) {
  const c = conversation(event.conversation);
  apply(c, event);
  if (state.ready && (!c.info || !event.type.startsWith("message."))) refreshList().catch(() => {});
  if (event.type === "message.sent") {
    state.typing.delete(event.actor);
    drawTyping();
    if (event.actor !== session.user.id) c.unread++;
  }
  if (state.ready) { markRead(c); draw(); }
}

function apply(c, event) {
  c.head = Math.max(c.head, event.seq);
  learn(event.actor);
  const d = event.data;
  switch (event.type) {
    case "message.sent":
      c.messages.set(event.seq, { seq: event.seq, sender: event.actor, at: event.at, body: d.body, client_id: d.client_id });
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

// ---- what was seen is read, at most once a second
let reading = null;
function markRead(c) {
  if (reading || !c || c.id !== state.current || document.visibilityState !== "visible" || c.read >= c.head) return;
  reading = setTimeout(() => {
    reading = null;
    c.read = c.head;
    c.unread = 0;
    session.read(c.id, c.head).catch(() => {});
    drawList();
  }, 1000);
}
document.addEventListener("visibilitychange", () => markRead(state.conversations.get(state.current)));

function receiptSeen(p) {
  const c = state.conversations.get(p.conversation);
  if (!c || p.user === session.user.id) return;
  if (p.read_seq) c.cursors.set(p.user, Math.max(c.cursors.get(p.user) || 0, p.read_seq));
  if (p.conversation === state.current) drawMessages();
}

// ---- sending
function send(text) {
  const entry = { to: { conversation: state.current }, body: { type: "text", text } };
  state.outbox.push(entry);
  drawMessages();
  const done = () => { state.outbox = state.outbox.filter((o) => o !== entry); drawMessages(); };
  session.send(entry).then(done, (error) => { done(); say(error.message); });
}

// ---- names
function learn(id) {
  if (!id || state.names.has(id)) return;
  state.names.set(id, "…");
  rest("GET", `/v1/users/${id}`).then(({ user }) => { state.names.set(id, user.display_name || user.username); draw(); }, () => state.names.delete(id));
}
const nameOf = (id) => (id === session.user.id ? "You" : state.names.get(id) || "…");
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
    const mine = m.sender === session.user.id, item = element("li", undefined, mine ? "mine" : "");
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
    else if (t.conversation === state.current && user !== session.user.id) names.push(nameOf(user));
  }
  $("typing").textContent = names.length ? `${names.join(", ")} typing…` : "";
}
setInterval(drawTyping, 2000);

async function watch() {
  const peers = [...state.conversations.values()].map((c) => c.info && c.info.peer).filter(Boolean).slice(0, 100);
  if (!peers.length) return;
  for (const p of (await call("presence.watch", { users: peers })).presence) state.presence.set(p.user, p.status);
  drawHeader();
}

async function show(id) {
  state.current = id;
  const c = conversation(id);
  draw();
  try {
    if (!c.loaded) {
      c.loaded = true;
      const page = await call("message.history", { conversation: id });
      for (const m of page.messages) if (!c.messages.has(m.seq)) c.messages.set(m.seq, m);
    }
    const { conversation: info } = await call("conversation.get", { conversation: id });
    for (const cursor of info.cursors || []) if (cursor.user !== session.user.id) c.cursors.set(cursor.user, cursor.read_seq);
    await watch();
  } catch (error) { say(error.message); }
  markRead(c);
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
    enter(await Session.login(config, username, password));
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
      await refreshList();
      await show(sent.conversation);
    } else {
      const title = prompt("Name of the group", names.join(", "));
      if (!title) return;
      const made = await call("group.create", { title, members: users.map((u) => u.id), client_id: crypto.randomUUID() });
      await refreshList();
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
async function enter(login) {
  session = login;
  $("login").hidden = true;
  $("chat").hidden = false;
  $("me").textContent = session.user.display_name || session.user.username;
  keep();
  try {
    await session.run();
  } catch (error) {
    leave(error instanceof Ended && error.reason === "suspended" ? "This account is suspended." : "Please log in again.");
  }
}

// keep stores the login alone: what this page has read is gone with it, and the server knows what the session acknowledged.
function keep() {
  const { standing, ...login } = session.save();
  store.setItem("mpim", JSON.stringify(login));
}
window.addEventListener("pagehide", () => { if (session) keep(); });
setInterval(() => { if (session) keep(); }, 60000); // tokens are renewed now and then

function leave(message) {
  if (session) session.close();
  session = null;
  store.removeItem("mpim");
  Object.assign(state, { conversations: new Map(), current: "", outbox: [], ready: false });
  $("chat").hidden = true;
  $("login").hidden = false;
  $("login-error").textContent = message || "";
}
$("logout").onclick = async () => {
  try { await rest("DELETE", "/v1/sessions/current"); } catch { /* the session is gone either way */ }
  leave();
};

const kept = store.getItem("mpim");
if (kept) enter(new Session(config, JSON.parse(kept)));
else $("login").hidden = false;
