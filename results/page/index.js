"use strict";
// Shows the list anew whenever a run has gone on.
listen(() => location.reload());
