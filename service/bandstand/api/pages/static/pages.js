"use strict";
(() => {
  const lost = document.getElementById("lost");
  const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
  const seconds = () => Number(document.body.dataset.refresh || 0);

  // -- what is live ------------------------------------------------------------------------------------------------
  let timer = 0;
  let asking = null;

  const isBusy = (part) =>
    part.contains(document.activeElement) && document.activeElement.matches("input, select, summary, button") ||
    part.querySelector("details[open], form[data-sent]") !== null;

  function replace(part, fresh) {
    if (!fresh || part.innerHTML === fresh.innerHTML || isBusy(part)) return;
    const follows = "follow" in part.dataset && part.scrollTop + part.clientHeight >= part.scrollHeight - 8;
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceChildren(...fresh.cloneNode(true).childNodes);
    if (follows) part.scrollTop = part.scrollHeight;
    if (focused !== null) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function show(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const there = new Map([...fresh.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
    const names = [...document.querySelectorAll("[data-live]")].map((part) => part.dataset.live);
    if (names.join() !== [...there.keys()].join()) return location.reload(); // another kind of page
    for (const part of document.querySelectorAll("[data-live]")) replace(part, there.get(part.dataset.live));
    document.title = fresh.title;
    document.body.dataset.refresh = fresh.body.dataset.refresh ?? "";
  }

  function say(text) {
    lost.hidden = !text;
    if (lost.textContent !== text) lost.textContent = text;
  }

  async function refresh() {
    clearTimeout(timer);
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    const began = performance.now();
    let again = true;
    try {
      const limit = AbortSignal.any ? AbortSignal.any([signal, AbortSignal.timeout(20000)]) : signal;
      const answer = await fetch(location.href, { redirect: "manual", headers: { Accept: "text/html" }, signal: limit });
      if (answer.type === "opaqueredirect") {
        say("You have been logged out; reload the page to log in again.");
        again = false;
      } else if (answer.status === 404) {
        say("This page does not exist any more.");
        again = false;
      } else if (!answer.ok) {
        say(`The server answers with an error (${answer.status}); trying again.`);
      } else {
        show(await answer.text());
        say("");
      }
    } catch (error) {
      if (signal.aborted) return;
      say("The server does not answer; trying again.");
    }
    // A server that takes long is asked less often.
    const wait = Math.max(seconds() * 1000, 10 * (performance.now() - began));
    if (again && seconds()) timer = setTimeout(tick, wait);
  }

  function tick() {
    if (document.visibilityState === "visible") refresh();
  }

  if (seconds()) {
    document.addEventListener("visibilitychange", tick);
    timer = setTimeout(tick, seconds() * 1000);
  }
  for (const part of document.querySelectorAll("[data-follow]")) part.scrollTop = part.scrollHeight;

  // -- what is asked for -------------------------------------------------------------------------------------------
  function filledIn(form) {
    const values = {};
    for (const field of form.querySelectorAll("input, select")) {
      if (field.value === "") continue;
      values[field.name] = "json" in field.dataset ? JSON.parse(field.value) : Number(field.value);
    }
    return values;
  }

  function bodyOf(form) {
    const kind = form.dataset.body;
    if (kind === "") return undefined;
    return JSON.stringify(kind === "{}" ? {} : { [kind]: filledIn(form) });
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!("action" in form.dataset)) return;
    event.preventDefault();
    const said = form.querySelector(".said");
    const body = bodyOf(form);
    const headers = { "X-CSRF-Token": csrf, Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    form.dataset.sent = "";
    said.className = "said";
    said.textContent = "…";
    try {
      const answer = await fetch(form.dataset.action, { method: form.dataset.method, headers, body });
      if (answer.ok) {
        said.textContent = form.dataset.done || "Done.";
        if (form.dataset.then) location.assign(form.dataset.then);
      } else {
        const problem = await answer.json().catch(() => ({}));
        said.className = "said error";
        said.textContent = problem.detail || `The server refused the request (${answer.status}).`;
      }
    } catch {
      said.className = "said error";
      said.textContent = "The server does not answer.";
    }
    setTimeout(() => { delete form.dataset.sent; }, 6000); // what was said stays readable
    document.activeElement?.blur();
    if (seconds()) refresh();
  });
})();
