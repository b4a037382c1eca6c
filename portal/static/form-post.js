// Sends the answer of a sign-in to the service (OAuth 2.0 Form Post Response Mode). Without it the button does.
"use strict";
const answer = document.getElementById("answer");
if (answer) answer.submit();
