"""Small text encoders, in the files that the library writes."""

import string

import pytest
import torch


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache for each test."""
    monkeypatch.setenv("DIFFX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def clip_tokenizer():
    """Byte-level, with one merge; the last two begin and end a text."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    units = [*letters, *(f"{one}</w>" for one in letters), "sq"]
    units += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={one: i for i, one in enumerate(units)}, merges=[("s", "q")])


def clip_config(**changes):
    from transformers import CLIPTextConfig

    size = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    places = {"num_attention_heads": 2, "max_position_embeddings": 40, "vocab_size": 515}
    ends = {"bos_token_id": 513, "eos_token_id": 514}
    return CLIPTextConfig(**{**size, **places, **ends, **changes})


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A folder as that of the text encoder of a CLIP."""
    pytest.importorskip("transformers", reason="it writes the files")
    from transformers import CLIPTextModel

    folder = tmp_path_factory.mktemp("clip")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPTextModel(clip_config()).save_pretrained(folder)
    clip_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def t5(tmp_path_factory):
    """A folder as that of the encoder of a T5."""
    pytest.importorskip("transformers", reason="it writes the files")
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    folder = tmp_path_factory.mktemp("t5")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("\u2581", -2.0)]
    pieces += [(letter, -3.0) for letter in string.ascii_letters]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
    size = {"d_model": 12, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        T5EncoderModel(T5Config(vocab_size=len(pieces), **size)).save_pretrained(folder)
    return folder
