// Sends the answer of a sign-in to the service (OAuth 2.0 Form Post Response Mode). Without it the button does.
"use strict";
const answer = document.getElementById("answer");
// The path tells the page itself from a picture of it.
if (answer && location.pathname === "/oauth/answer") answer.submit();
