// Two comforts; every page is whole without them. A button that copies shows only where it works; a form is sent once.
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
  addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) { delete form.dataset.sent; });
  });
})();
