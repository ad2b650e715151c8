"""Find operators of a program that compute as in training. The file fixes their mode, so `eval()` has no effect."""

from collections.abc import Iterable, Mapping

from slipway.core.errors import SlipwayError, listed

# Arguments of PyTorch's operators: True here means train mode, and 0 in one of _SHARES makes train mode harmless.
_MODES = ("train", "training")
_SHARES = ("p", "dropout")


def require_eval_mode(operators: Iterable[tuple[str, Mapping[str, object], str]], saved_by: str) -> None:
    """Raise SlipwayError if operators of a program compute as in training. The message names their modules.

    `operators` are (name, {argument: value}, name of the module around it). `saved_by` names the call that saves such a
    program, for the advice in the message.
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
