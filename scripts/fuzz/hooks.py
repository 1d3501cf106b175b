"""What no schema can say of a request that is meant to be right. Wrong ones are sent as they were made."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # A cursor is whatever the page before ended with.
    if case.query:
        case.query.pop("cursor", None)
    # The quotes belong to the version; they are taken for those of JSON on the way.
    version = (case.headers or {}).get("If-Match")
    if version is not None and not version.startswith('"'):
        case.headers["If-Match"] = f'"{version}"'
    if isinstance(case.body, dict):
        case.body.update({name: once_each(items) for name, items in case.body.items() if isinstance(items, list)})


def once_each(items):
    """Lists of students name each once."""
    named = {item["student_id"]: item for item in items if isinstance(item, dict) and "student_id" in item}
    return list(named.values()) if named else items
