// The live part of the simulator's page: it hears that something changed, fetches the parts of
// the page that can have, and puts in what differs. No library, nothing from another host.
"use strict";

const base = document.body.dataset.base;
const PAUSE = 250; // milliseconds between two fetches at least
const AGING = 1000; // milliseconds
const RECONNECT = 2000; // milliseconds
const WIDE = window.matchMedia("(min-width: 760px)");

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    time.textContent = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    time.title = moment.toLocaleString();
  }
  agesOf(root);
}

// How long ago, where that says more than the time of day: within the last hour.
function agesOf(root) {
  for (const time of root.querySelectorAll("time.ago")) {
    const seconds = Math.max(0, Math.round((Date.now() - new Date(time.dateTime)) / 1000));
    if (seconds < 60) time.textContent = `${seconds} s ago`;
    else if (seconds < 3600) time.textContent = `${Math.floor(seconds / 60)} min ago`;
    else time.textContent = time.title;
  }
}

// Elements stay where they are and only what differs goes in, so that focus, selection and open
// details are kept, and nothing moves that did not change.
function sync(old, fresh) {
  const before = new Map([...old.children].map((child) => [child.id, child]));
  let place = old.firstElementChild;
  for (const child of [...fresh.children]) {
    const known = before.get(child.id);
    before.delete(child.id);
    if (known) update(known, child);
    else comeIn(child);
    const stays = known ?? child;
    if (stays === place) place = place.nextElementSibling;
    else old.insertBefore(stays, place);
  }
  for (const gone of before.values()) gone.remove();
}

// Only what comes while one looks moves in; a page that is opened stands still.
function comeIn(child) {
  child.classList.add("new");
  child.addEventListener("animationend", () => child.classList.remove("new"), { once: true });
}

function update(known, child) {
  if (known.querySelector("details[open]")) child.querySelector("details")?.setAttribute("open", "");
  if (known.isEqualNode(child)) return;
  const focused = known.contains(document.activeElement);
  known.className = child.className;
  known.replaceChildren(...child.childNodes);
  if (focused) known.querySelector("a, summary")?.focus();
}

function atEnd(scroll) {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
}

async function refresh() {
  const answer = await fetch(`${base}/parts${location.search}`);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  localTimes(fresh);
  const scroll = document.getElementById("scroll");
  const follow = scroll && atEnd(scroll);
  for (const part of fresh.children) {
    const old = document.getElementById(part.id);
    if (!old) continue;
    if (part.children.length && part.id !== "welcome") sync(old, part);
    else if (old.innerHTML !== part.innerHTML) old.replaceChildren(...part.childNodes);
  }
  if (follow) scroll.scrollTop = scroll.scrollHeight;
  showSomePhone();
}

// A wide page without a phone has room for one: the one that changed last.
function showSomePhone() {
  if (!WIDE.matches || document.body.classList.contains("with-phone")) return;
  const first = document.querySelector("#rows a");
  if (first && !document.getElementById("find").value) location.replace(first.href);
}

let wanted = false;
let busy = false;

async function changed() {
  wanted = true;
  if (busy || document.hidden) return;
  busy = true;
  try {
    while (wanted && !document.hidden) {
      wanted = false;
      await refresh();
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  } catch {
    wanted = true; // the server is away; the next sign of life fetches again
  } finally {
    busy = false;
  }
}

function listen() {
  const events = new EventSource(`${base}/live`);
  events.onopen = () => document.body.classList.remove("offline");
  events.onmessage = changed;
  events.onerror = () => {
    document.body.classList.add("offline");
    events.close();
    setTimeout(listen, RECONNECT);
  };
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

async function write(event) {
  event.preventDefault();
  const form = event.target;
  const problem = document.getElementById("write-problem");
  const field = form.elements.text;
  problem.hidden = true;
  try {
    const answer = await fetch(form.dataset.url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: field.value }),
    });
    if (answer.ok) {
      field.value = "";
      const scroll = document.getElementById("scroll");
      scroll.scrollTop = scroll.scrollHeight;
      return;
    }
    problem.textContent = (await answer.json()).detail;
  } catch {
    problem.textContent = "The simulator cannot be reached.";
  }
  problem.hidden = false;
}

// A click opens it after its listeners are done. Not on "toggle": that comes at every refresh too.
function showOpened(event) {
  const details = event.target.closest("summary")?.parentElement;
  if (!details) return;
  requestAnimationFrame(() => details.open && details.scrollIntoView({ block: "nearest" }));
}

async function forget() {
  if (!window.confirm("Forget every message of every phone?")) return;
  await fetch(`${base}/api/messages`, { method: "DELETE" });
  location.href = base;
}

function find() {
  const query = new URLSearchParams(location.search);
  const digits = document.getElementById("find").value.replace(/\D/g, "");
  if (digits) query.set("find", digits);
  else query.delete("find");
  history.replaceState(null, "", query.size ? `${base}?${query}` : base);
  changed();
}

localTimes(document);
showSomePhone();
document.getElementById("write")?.addEventListener("submit", write);
document.getElementById("log")?.addEventListener("click", showOpened);
document.getElementById("forget").addEventListener("click", forget);
document.getElementById("find").addEventListener("input", find);
setInterval(() => document.hidden || agesOf(document), AGING);
document.addEventListener("visibilitychange", () => wanted && changed());
const scroll = document.getElementById("scroll");
if (scroll) scroll.scrollTop = scroll.scrollHeight;
listen();
