// Goes on to the service when the others have been told (Front-Channel Logout), or after four seconds. Without it the
// person presses the button.
"use strict";
const onward = document.getElementById("continue");
if (onward && location.pathname === "/oauth/signed-out") {
  const go = () => location.replace(onward.href);
  window.addEventListener("load", go, { once: true });
  setTimeout(go, 4000);
}
