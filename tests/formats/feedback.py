"""One record of Open WebUI feedback, made up."""

from typing import Any

NESTED = {"chat": {"chat": {"params": {"system": "Be kind."}}}}


def message(name: str, parent: str | None, role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "parentId": parent, "childrenIds": [], "role": role, "content": content, **more}


def feedback(rated: str, rating: Any, annotations: dict[str, int] | None = None) -> dict[str, Any]:
    """The rating of a message of a tree: question a; answers b, c and d; after b a question e with the answer f."""
    messages = {
        "a": message("a", None, "user", "Hi?"),
        "b": message("b", "a", "assistant", '<details type="reasoning" done="true">\nHm.\n</details>\nYes.'),
        "c": message("c", "a", "assistant", "No."),
        "d": message("d", "a", "assistant", "Perhaps."),
        "e": message("e", "b", "user", "Why?"),
        "f": message("f", "e", "assistant", "Because."),
    }
    for name, given in (annotations or {}).items():
        messages[name]["annotation"] = {"rating": given, "tags": []}
    return {
        "id": f"feedback of {rated}",
        "type": "rating",
        "user": {"name": "Kim", "email": "kim@example.org"},
        "data": {"rating": rating, "model_id": "small", "reason": "", "comment": ""},
        "meta": {"message_id": rated, "message_index": 2, "chat_id": "chat 1", "arena": False},
        "snapshot": {"chat": {"id": "chat 1", "chat": {"history": {"messages": messages, "currentId": rated}}}},
    }
