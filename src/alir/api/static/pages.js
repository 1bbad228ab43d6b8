// Makes the commands ready to paste: this gateway's address, and the API token if one is typed.
// Nothing is sent anywhere, and the token is kept in no storage.
"use strict";

for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;

const form = document.getElementById("token-form");
if (form) {
  const places = [...document.querySelectorAll("[data-token]")];
  const without = places[0].textContent;
  const fill = () => {
    const token = form.elements.token.value.trim();
    const quoted = token.replaceAll("'", "'\\''");
    for (const place of places) {
      place.textContent = token ? `'Authorization: Bearer ${quoted}'` : without;
    }
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.token.addEventListener("input", fill);
  fill(); // a browser may bring back what was typed before
}

for (const figure of document.querySelectorAll("figure.code")) {
  if (!navigator.clipboard) break; // only there over https or on this machine
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(figure.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  figure.prepend(button);
}
