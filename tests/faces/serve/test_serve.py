"""The official `openai` client (3.52) against a live server."""

import asyncio
import json
import shutil
import socket
import threading
import time

import httpx
import openai
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith.artifacts import message
from tunesmith.chat.encode import prompt_ids
from tunesmith.errors import DataError, IntegrityBroken, MachineFailure
from tunesmith.models.backends.local import open_local
from tunesmith.serve.loaded_release import open_release
from tunesmith.serve.run import bind_socket
from tunesmith.trust import sign_release

QUESTION = [{"role": "user", "content": "Where is my order?"}]


def expected(served, *, max_new_tokens, turns=None):
    """What the model itself says, and the prompt's length."""
    model = served.released.model
    prompt = prompt_ids(
        model.tokenizer,
        turns or (message("system", served.released.instruction), message("user", "Where is my order?")),
    )
    (ids,) = model.generate([prompt], max_new_tokens=max_new_tokens)
    return model.tokenizer.decode(ids, skip_special_tokens=True), len(prompt), len(ids)


def create(served, **options):
    settings = {"model": served.released.id, "messages": QUESTION, "max_tokens": 12, **options}
    return served.client.chat.completions.create(**settings)


def test_models_are_listed_and_found(chat):
    (model,) = chat.client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("support-desk:1", "model", "tunesmith")
    assert chat.client.models.retrieve("support-desk:1") == model
    with pytest.raises(openai.NotFoundError) as caught:
        chat.client.models.retrieve("support-desk:2")
    assert caught.value.code == "model_not_found"


def test_messages_become_tokens_in_the_thread_of_the_model(chat, monkeypatch):
    seen = []

    def noted(*given):
        seen.append(threading.current_thread().name)
        return prompt_ids(*given)

    monkeypatch.setattr("tunesmith.serve.openai.chat.prompt_ids", noted)
    assert create(chat).usage.completion_tokens == 12
    assert len(list(create(chat, stream=True))) > 1
    assert len(seen) == 2 and all(name.startswith("tunesmith-model") for name in seen)


def test_a_completion_is_the_greedy_answer_with_exact_usage(chat):
    text, prompt, tokens = expected(chat, max_new_tokens=12)
    answer = create(chat)
    assert (answer.object, answer.model) == ("chat.completion", "support-desk:1")
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", text, "length")
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (prompt, 12, prompt + 12)
    assert tokens == 12
    assert create(chat, model="support-desk").choices == answer.choices
    assert create(chat, max_tokens=None, max_completion_tokens=12).choices == answer.choices


def test_a_system_message_of_the_client_replaces_the_instruction(chat):
    turns = (message("system", "Speak of kettles."), message("user", "Where is my order?"))
    text, prompt, _ = expected(chat, max_new_tokens=12, turns=turns)
    for role in ("system", "developer"):
        parts = [{"type": "text", "text": "Speak of "}, {"type": "text", "text": "kettles."}]
        answer = create(chat, messages=[{"role": role, "content": parts}, *QUESTION])
        assert (answer.choices[0].message.content, answer.usage.prompt_tokens) == (text, prompt)


def test_a_stream_says_role_text_reason_usage(chat):
    text, prompt, _ = expected(chat, max_new_tokens=12)
    chunks = list(create(chat, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.content == ""
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == text
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.model_dump(exclude_none=True) == {
        "prompt_tokens": prompt,
        "completion_tokens": 12,
        "total_tokens": prompt + 12,
    }
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_a_stream_without_usage_ends_in_done(chat):
    body = {"model": "support-desk", "messages": QUESTION, "max_tokens": 2, "stream": True}
    with httpx.stream("POST", f"{chat.url}/v1/chat/completions", json=body) as response:
        events = "".join(response.iter_text()).split("\n\n")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all("usage" not in json.loads(event.removeprefix("data: ")) for event in events[:-2])


def test_a_stop_string_ends_the_answer_before_it(chat):
    text, _, _ = expected(chat, max_new_tokens=40)
    stop = text[9:13]
    before = text[: text.index(stop)]
    answer = create(chat, max_tokens=40, stop=stop)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (before, "stop")
    assert answer.usage.completion_tokens < 40
    chunks = list(create(chat, max_tokens=40, stop=["never to be seen", stop], stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == before
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_sampling_follows_its_seed(chat):
    settings = {"temperature": 1.5, "top_p": 0.95, "max_tokens": 24}
    first, again, other = (create(chat, seed=seed, **settings).choices[0].message.content for seed in (1, 1, 2))
    assert first == again != other
    assert create(chat, temperature=1.5).choices != create(chat, temperature=1.5).choices
    tiny_nucleus = create(chat, temperature=1.0, top_p=1e-9, seed=5).choices[0].message.content
    assert tiny_nucleus == expected(chat, max_new_tokens=12)[0]


def test_without_a_limit_the_answer_ends_with_the_context(chat):
    answer = create(chat, max_tokens=None, stop=None)
    usage = answer.usage
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert usage.total_tokens <= 256
    assert (answer.choices[0].finish_reason == "length") == (usage.total_tokens == 256)


def test_a_classifier_answers_with_its_best_label(classifier):
    released = classifier.released
    prompt = prompt_ids(
        released.model.tokenizer, (message("system", released.instruction), message("user", "Where is my order?"))
    )
    totals = [sum(released.model.logprobs([prompt], [option])[0]) for option in released.options]
    best = totals.index(max(totals))
    answer = create(classifier)
    assert answer.choices[0].message.content == released.labels[best]
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("stop", len(released.options[best]))
    chunks = list(create(classifier, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", released.labels[best], None]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"temperature": 3.0}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"seed": 1.5}, "seed"),
        ({"stop": 5}, "stop"),
        ({"extra_body": {"stream": "yes"}}, "stream"),
        ({"stop": ["a", "b", "c", "d", "e"]}, None),
        ({"stop": ""}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content",
        ),
        ({"extra_body": {"no_such_setting": 1}}, "no_such_setting"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(chat, options, param):
    with pytest.raises(openai.BadRequestError) as caught:
        create(chat, **options)
    assert caught.value.type == "invalid_request_error"
    if param is not None:
        assert caught.value.param == param
    assert caught.value.request_id.startswith("req_")


def test_settings_that_ask_for_nothing_are_taken(chat):
    neutral = {
        "n": 1,
        "logprobs": False,
        "response_format": {"type": "text"},
        "presence_penalty": 0,
        "user": "u",
        "tools": [],
    }
    assert create(chat, **neutral).choices == create(chat).choices


def test_a_prompt_over_the_context_is_refused(chat):
    with pytest.raises(openai.BadRequestError, match="maximum context length is 256") as caught:
        create(chat, messages=[{"role": "user", "content": "kettle " * 300}])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_other_errors_have_the_same_shape(chat):
    with pytest.raises(openai.NotFoundError) as caught:
        create(chat, model="gpt-4o")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    broken = httpx.post(f"{chat.url}/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["error"]["type"]) == (400, "invalid_request_error")
    nowhere = httpx.get(f"{chat.url}/v1/nowhere")
    assert (nowhere.status_code, set(nowhere.json()["error"])) == (404, {"message", "type", "param", "code"})
    assert httpx.get(f"{chat.url}/v1/models").headers["x-request-id"] != nowhere.headers["x-request-id"]


def test_health(chat):
    assert httpx.get(f"{chat.url}/healthz").json() == {"status": "ok", "model": "support-desk:1", "waiting": 0}


def test_clients_at_once_get_their_own_answers(chat):
    async def ask(client, text):
        answer = await client.chat.completions.create(
            model="support-desk", messages=[{"role": "user", "content": text}], max_tokens=8
        )
        return answer.choices[0].message.content

    async def every(texts):
        async with openai.AsyncOpenAI(base_url=f"{chat.url}/v1", api_key="none", max_retries=0) as client:
            return await asyncio.gather(*[ask(client, text) for text in texts])

    texts = [f"order {number}" for number in range(8)]
    alone = [
        create(chat, messages=[{"role": "user", "content": text}], max_tokens=8).choices[0].message.content
        for text in texts
    ]
    assert asyncio.run(every(texts)) == alone
    assert len(set(alone)) > 1


def test_a_client_that_leaves_frees_the_model(chat):
    stream = create(chat, max_tokens=200, stream=True)
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 10
    while httpx.get(f"{chat.url}/healthz").json()["waiting"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert create(chat).choices[0].message.content == expected(chat, max_new_tokens=12)[0]


def test_a_changed_release_is_not_served(make_release, signer, context):
    folder = make_release("tampered")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityBroken, match=r"model\.safetensors"):
        open_release(folder, signer.public_pem(), context=context)


def test_a_release_of_another_format_is_refused(make_release, signer, context):
    with pytest.raises(DataError, match="format 2"):
        open_release(make_release("newer", format=2), signer.public_pem(), context=context)
    with pytest.raises(DataError, match="no labels"):
        open_release(make_release("unlabelled", task="classify"), signer.public_pem(), context=context)


def test_a_taken_port_is_named():
    with bind_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(MachineFailure, match=f"127.0.0.1:{port}"):
            bind_socket("127.0.0.1", port)
        assert isinstance(listener, socket.socket)


def adapter_folder(folder, base):
    """A LoRA adapter over `base` whose answers differ from it."""
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    settings = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(model, settings).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_finds_its_base_in_the_release_or_in_the_store(work, signer, context):
    base = work / "model"
    tree = context.store.put_tree(base)
    answers = []
    for name, with_base, digest in [
        ("inside", True, "unused"),
        ("store", False, tree),
        ("lost", False, f"sha256:{0:064}"),
    ]:
        folder = work / "releases" / name / "1"
        adapter_folder(folder, base)
        if with_base:
            shutil.copytree(base, folder / "base")
        card = {"format": 1, "task": "chat", "base": {"name": "tiny", "tree": digest}}
        (folder / "tunesmith.json").write_text(json.dumps(card))
        sign_release(folder, signer, name=name, version=1, statements={}, log_folder=work / "log")
        if name == "lost":
            with pytest.raises(MachineFailure, match="the base tiny"):
                open_release(folder, signer.public_pem(), context=context)
        else:
            released = open_release(folder, signer.public_pem(), context=context)
            answers.append(released.model.generate([[5, 80, 33]], max_new_tokens=8))
    assert answers[0] == answers[1] != open_local(base, digest="base").generate([[5, 80, 33]], max_new_tokens=8)
