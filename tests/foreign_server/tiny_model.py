"""Makes a language model of half a megabyte with random weights: it speaks nonsense, but all the rest of it is real."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import gguf

CONTEXT_TOKENS: Final = 8_192
"""So large that an answer which nobody ends goes on for many seconds."""

_WIDTH: Final = 64
_HIDDEN: Final = 128
_HEADS: Final = 4
_BLOCKS: Final = 2
_SEED: Final = 7
_END_TOKEN: Final = 2

_UNKNOWN, _CONTROL, _BYTE, _NORMAL = 2, 3, 6, 1
_PIECES: Final = ("▁", *(f"▁{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"), *"abcdefghijklmnopqrstuvwxyz.,:?!")

_CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}assistant:"
)


def write_tiny_model(path: Path) -> None:
    """Writes a GGUF file of Llama's architecture; the same bytes every time."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_HIDDEN)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_file_type(0)
    _add_vocabulary(writer)
    _add_weights(writer, vocabulary_size=len(_vocabulary()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary() -> Mapping[str, int]:
    """Every token and its kind: three with a meaning, all bytes, and the letters."""
    special = {"<unk>": _UNKNOWN, "<s>": _CONTROL, "</s>": _CONTROL}
    return special | {f"<0x{byte:02X}>": _BYTE for byte in range(256)} | dict.fromkeys(_PIECES, _NORMAL)


def _add_vocabulary(writer: "gguf.GGUFWriter") -> None:
    vocabulary = _vocabulary()
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(vocabulary))
    writer.add_token_scores([-float(index) for index in range(len(vocabulary))])
    writer.add_token_types(list(vocabulary.values()))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(_END_TOKEN)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _add_weights(writer: "gguf.GGUFWriter", *, vocabulary_size: int) -> None:
    import numpy as np

    random = np.random.default_rng(_SEED)
    block_shapes = {
        "attn_q": (_WIDTH, _WIDTH),
        "attn_k": (_WIDTH, _WIDTH),
        "attn_v": (_WIDTH, _WIDTH),
        "attn_output": (_WIDTH, _WIDTH),
        "ffn_gate": (_HIDDEN, _WIDTH),
        "ffn_up": (_HIDDEN, _WIDTH),
        "ffn_down": (_WIDTH, _HIDDEN),
    }
    shapes = {"token_embd": (vocabulary_size, _WIDTH), "output": (vocabulary_size, _WIDTH)}
    shapes |= {f"blk.{block}.{name}": shape for block in range(_BLOCKS) for name, shape in block_shapes.items()}
    norms = ("output_norm", *(f"blk.{block}.{name}" for block in range(_BLOCKS) for name in ("attn_norm", "ffn_norm")))
    weights = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    # A token that never scores is never the likeliest: at temperature 0 the model does not end by itself.
    weights["output"][_END_TOKEN] = 0
    for name, values in weights.items():
        writer.add_tensor(f"{name}.weight", values)
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(_WIDTH, dtype=np.float32))
