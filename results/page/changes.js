"use strict";
// Calls back whenever the server has something newer than this page shows, also if that came before the page could
// ask: the page says which state it shows, as it was told in a header.
function listen(changed) {
  const [page] = performance.getEntriesByType("navigation");
  const sent = page?.serverTiming?.find((entry) => entry.name === "shown");
  new EventSource(sent ? `changes?seen=${sent.description}` : "changes").addEventListener("message", changed);
}
