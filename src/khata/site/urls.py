"""Every address there is. Who may open it stands in `policy`."""

from django.urls import include, path, re_path

from khata.site import pages

urlpatterns = [
    path("", include("khata.portal.urls")),
    path("api/v1/", include("khata.api.urls")),
    path("staff/", include("khata.staff.urls")),
    path("language/", pages.language, name="language"),
    re_path(r"^theme/(?P<colour>[0-9a-f]{6})\.css$", pages.theme, name="theme"),
    path("manifest.webmanifest", pages.manifest, name="manifest"),
    path("sw.js", pages.worker, name="worker"),
    path("offline/", pages.offline, name="offline"),
    path("accessibility/", pages.accessibility, name="accessibility"),
    path("privacy/", pages.privacy, name="privacy"),
    path("complaints/", pages.complaints, name="complaints"),
    path("alive/", pages.alive, name="alive"),
    path("demo/outbox/", pages.outbox, name="outbox"),
]

handler400 = "khata.site.pages.bad_request"
handler403 = "khata.site.pages.not_found"  # what is not theirs is not there
handler404 = "khata.site.pages.not_found"
handler500 = "khata.site.pages.server_error"
