// Three comforts; every page is whole without them. A button that copies shows only where it works; a form is sent once;
// the last balance is kept on this phone for when there is no network, until whoever saw it signs out.
(function () {
  var copiers = document.querySelectorAll("[data-copy]");
  if (navigator.clipboard) {
    copiers.forEach(function (button) {
      var words = button.textContent;
      button.hidden = false;
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(button.dataset.copy).then(function () {
          button.textContent = button.dataset.done;
          setTimeout(function () { button.textContent = words; }, 3000);
        });
      });
    });
  }
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  });
  try {
    var kept = document.querySelector("[data-keep]"), last = document.querySelector("[data-last]");
    if (document.querySelector("body[data-forget]")) localStorage.removeItem("khata");
    if (kept) localStorage.setItem("khata", kept.dataset.keep);
    if (last && localStorage.getItem("khata")) {
      last.textContent = localStorage.getItem("khata");
      last.hidden = false;
    }
    document.addEventListener("submit", function (event) {
      if (event.target.matches(".sign-out")) localStorage.removeItem("khata");
    });
  } catch (closed) { /* a browser that keeps nothing */ }
  if (navigator.serviceWorker && document.querySelector("body[data-worker]")) {
    navigator.serviceWorker.register(document.body.dataset.worker).catch(function () {});
  }
  addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) { delete form.dataset.sent; });
  });
})();
