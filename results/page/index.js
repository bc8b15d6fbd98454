"use strict";
// Shows the list anew whenever a run has gone on.
new EventSource("changes").addEventListener("message", () => location.reload());
