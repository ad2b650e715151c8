"""Train a small DistilBERT and its tokenizer for some seconds, and save both."""

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import DistilBertConfig, DistilBertForSequenceClassification, PreTrainedTokenizerFast

from docs.examples.text.data import SENTENCES, letters
from docs.examples.transformers_text.data import FOLDER, LONGEST

VOCABULARY, STEPS = 600, 40


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer with a small vocabulary of the texts."""
    word_pieces = BertWordPieceTokenizer()
    word_pieces.train_from_iterator(texts, vocab_size=VOCABULARY, show_progress=False)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=word_pieces._tokenizer, **special)


def main() -> None:
    """Train on all letters at once, padded to the longest."""
    torch.manual_seed(0)
    texts, topics = zip(*letters(), strict=True)
    tokenizer = tokenizer_of(list(texts))
    names = dict(enumerate(SENTENCES))
    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=LONGEST,
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        pad_token_id=tokenizer.pad_token_id,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    network = DistilBertForSequenceClassification(config).train()
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(STEPS):
        loss = network(**inputs, labels=torch.tensor(topics)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.save_pretrained(FOLDER)
    tokenizer.save_pretrained(FOLDER)
    print(f"{FOLDER}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
