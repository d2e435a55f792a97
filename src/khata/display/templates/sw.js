// Keeps the files of the pages, and one page for when there is no network. Nothing of anybody's is kept here.
const NAME = "{{ name }}", FILES = [{% for file in files %}"{{ file }}",{% endfor %}], OFFLINE = "{{ offline }}";
addEventListener("install", (event) => event.waitUntil(
  caches.open(NAME).then((cache) => cache.addAll([...FILES, OFFLINE])).then(() => skipWaiting())));
addEventListener("activate", (event) => event.waitUntil(
  caches.keys().then((names) => Promise.all(names.map((name) => name === NAME || caches.delete(name))))
    .then(() => clients.claim())));
addEventListener("fetch", (event) => {
  const asked = event.request;
  if (asked.method !== "GET") return;
  if (asked.mode === "navigate") {
    event.respondWith(fetch(asked).catch(() => caches.match(OFFLINE, { ignoreVary: true })));
  } else if (FILES.includes(new URL(asked.url).pathname)) {
    event.respondWith(caches.match(asked, { ignoreVary: true }).then((found) => found || fetch(asked)));
  }
});
