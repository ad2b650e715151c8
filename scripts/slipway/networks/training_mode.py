"""Find operators of a program that compute as in training. Their mode is fixed in the file: `eval()` does not help."""

from collections.abc import Iterable, Mapping

from slipway.core.errors import SlipwayError, listed

# Arguments of PyTorch's operators: True here means train mode, and 0 in one of _SHARES makes train mode harmless.
_MODES = ("train", "training")
_SHARES = ("p", "dropout")


def require_eval_mode(operators: Iterable[tuple[str, Mapping[str, object], str]], saved_by: str) -> None:
    """Raise SlipwayError if an operator of a program computes as in training, with the modules that it is in.

    `operators` are (name, {argument: value}, module). `saved_by` is the call to make after `eval()`, in words.
    """
    in_train_mode = [
        f"{name.removesuffix('.default')} in {module or 'the network'}"
        for name, arguments, module in operators
        if any(arguments.get(mode) is True for mode in _MODES) and all(arguments.get(share) != 0 for share in _SHARES)
    ]
    if in_train_mode:
        named = listed(list(dict.fromkeys(in_train_mode)), 3)
        raise SlipwayError(
            f"the program was saved in train mode: {named} computes as in training, so its answers would be random or "
            f"depend on the rest of the batch; call model.eval() before {saved_by}"
        )
