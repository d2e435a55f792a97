"""Pictures beside words, each a single path on a square of 24: decoration, never alone without a label."""

PATHS: dict[str, str] = {
    "home": "M12 2.8 2 11.2l1.3 1.5L5 11.3V21h5.5v-6h3v6H19v-9.7l1.7 1.4 1.3-1.5z",
    "bill": "M5 2h14v20l-2.3-1.7L14.3 22 12 20.3 9.7 22l-2.4-1.7L5 22zm3.5 5v1.8h7V7zm0 4v1.8h7V11zm0 4v1.8h4.5V15z",
    "message": "M3 4h18v13H10l-5 4v-4H3zm4 4v1.8h10V8zm0 3.6v1.8h7v-1.8z",
    "bolt": "M13.5 2 5 13.6h5.6L9.5 22 19 9.6h-6.2z",
    "use": "M4 12h4v9H4zm6-8h4v17h-4zm6 5h4v12h-4z",
    "phone": (
        "M6.3 3h3.4l1.5 4.8-2.3 2a12.5 12.5 0 0 0 5.3 5.3l2-2.3 4.8 1.5v3.4c0 1.8-1.4 3.3-3.2 3.3C9.9 21 3 "
        "14.1 3 6.2 3 4.4 4.5 3 6.3 3z"
    ),
    "search": (
        "M10 3a7 7 0 1 0 4.3 12.5l5.3 5.3 1.5-1.5-5.3-5.3A7 7 0 0 0 10 3z"
        "m0 2.2a4.8 4.8 0 1 1 0 9.6 4.8 4.8 0 0 1 0-9.6z"
    ),
    "good": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.3 14.6-4.3-4.3 1.5-1.5 2.8 2.8 5.6-5.6 1.5 1.5z",
    "warn": "M12 2.5 1 21.5h22zM11 9.5h2v6h-2zm0 7.5h2v2h-2z",
    "danger": "M12 2.5 1 21.5h22zM11 9.5h2v6h-2zm0 7.5h2v2h-2z",
    "people": (
        "M9 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM1.5 20c0-4 3.5-6 7.5-6s7.5 2 7.5 6zM16 5a3.5 3.5 0 0 1 0 7z"
        "m2 9c2.8.6 4.5 2.5 4.5 6h-4c0-2.5-.7-4.5-2-5.8z"
    ),
    "print": "M7 3h10v4H7zM3 8.5h18V17h-4v4H7v-4H3zM9 14v5h6v-5z",
    "info": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 5h2v2h-2zm0 4h2v6h-2z",
}


def icon(name: str) -> str:
    """Markup of an icon; of a name that is none, the one for information.

    Here, because a template takes ten times as long over it, and a page has eight of them.
    """
    path = PATHS.get(name, PATHS["info"])
    return (
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
        f'<path fill-rule="evenodd" d="{path}"/></svg>'
    )
