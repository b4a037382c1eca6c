// Shows the API document named on the page with Swagger UI. Everything comes from this server.
"use strict";
const place = document.getElementById("api");
if (place && window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,          // no request to anybody else's validator
    persistAuthorization: false, // a token typed here is gone with the page
    tryItOutEnabled: false,
  });
}
