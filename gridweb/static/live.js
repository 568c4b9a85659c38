// One event stream while the page is seen. Each event becomes a DOM event "live-<name>" on the body, at which htmx fetches the
// parts of the page that asked for it (macro `live`); "live-back" says that the stream was broken: fetch everything again.
(() => {
  "use strict";
  const RETRY_MS = 3000;
  const UNAVAILABLE = 503;
  const NAMES = ["slot", "status", "reset"];
  const QUIET_MS = 4000; // the server says something every 2 s; a page that hears nothing says so within 5 s
  const root = document.documentElement;
  // On a narrow screen the bar scrolls: the page that is open is seen in it.
  document.querySelector(".pages [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  // A page of which nothing could be shown is asked for until there is something, and then opened again.
  if (document.querySelector("[data-opens-again]")) {
    setInterval(async () => {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
      if (answer && answer.status !== UNAVAILABLE) location.replace(location.href);
    }, RETRY_MS);
  }
  const address = root.dataset.events;
  if (!address) return;
  let stream = null;
  let retry = 0;
  // Behind the newest event of when the page was made: what happened while it came here is told first.
  let last = root.dataset.heard ?? "";
  let wasBroken = false;
  let heardMs = Date.now();

  const tell = (name, detail) => document.body.dispatchEvent(new CustomEvent(`live-${name}`, { detail }));

  function hear() {
    heardMs = Date.now();
    root.dataset.stream = "on";
  }

  function open() {
    clearTimeout(retry);
    if (stream || document.hidden) return;
    stream = new EventSource(last ? `${address}?after=${encodeURIComponent(last)}` : address);
    heardMs = Date.now();
    stream.addEventListener("beat", hear);
    stream.onopen = () => {
      hear();
      if (wasBroken) tell("back");
      wasBroken = false;
    };
    stream.onerror = () => {
      root.dataset.stream = "off";
      wasBroken = true;
      // The browser tries again by itself, except after an answer that is no stream: the server goes down, or the session has
      // ended; then fetching a part of the page leads to the sign-in page.
      if (stream.readyState === EventSource.CLOSED) {
        close();
        tell("back");
        retry = setTimeout(open, RETRY_MS);
      }
    };
    for (const name of NAMES) {
      stream.addEventListener(name, (event) => {
        hear();
        last = event.lastEventId || last;
        tell(name === "reset" ? "back" : name, JSON.parse(event.data));
      });
    }
  }

  function close() {
    stream?.close();
    stream = null;
  }

  setInterval(() => {
    if (stream && Date.now() - heardMs > QUIET_MS) root.dataset.stream = "off";
  }, 500);

  // A browser has six connections to a server: pages that nobody looks at give theirs back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);

  // Parts that could not be fetched are marked, and tried again at the next event or when the stream is back.
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    const status = ctx?.response?.raw?.status ?? 0;
    ctx?.sourceElement?.toggleAttribute("data-stale", status === 0 || status >= 400);
  });
  open();
})();
