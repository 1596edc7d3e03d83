"""Chat templates of the kinds that reward models come with, shortened to what renders."""

LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + "
    "'<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
LLAMA_3_WITHOUT_BOS = LLAMA_3.removeprefix("{{ bos_token }}")  # as in Skywork-Reward v0.1
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
YI = CHATML  # FastChat's "Yi-34b-chat", with which RewardBench reads Starling-RM-34B
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set talk = messages[1:] %}"
    "{% set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% else %}{% set talk = messages %}{% set system = '' %}{% endif %}"
    "{% for m in talk %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + (system if loop.first else '') + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}{{ m['content'] + eos_token }}{% endif %}"
    "{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + "
    "('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim + "
    "'<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<start_of_turn>model\n' }}{% endif %}"
)
GEMMA_WITHOUT_BOS = GEMMA.removeprefix("{{ bos_token }}")
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ '<｜User｜>' + m['content'] }}{% elif m['role'] == 'assistant' %}"
    "{{ '<｜Assistant｜>' + m['content'] + eos_token }}{% else %}{{ m['content'] }}{% endif %}"
    "{% endfor %}"
)
# Texts without any special token: what the tokenizer adds is all there is.
ULTRARM = (
    "{% for m in messages %}{{ ('Human: ' if m['role'] == 'user' else 'Assistant: ') + "
    "m['content'] }}{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}"
)
EURUS = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + "
    "' [\\\\INST] ' }}{% else %}{{ m['content'] }}{% endif %}{% endfor %}"
)
BEAVER_CARD = (
    "{{ 'BEGINNING OF CONVERSATION: ' }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ 'USER: ' + m['content'] + ' ' }}{% else %}{{ 'ASSISTANT:' + m['content'] + "
    "('' if loop.last else eos_token) }}{% endif %}{% endfor %}"
)
BEAVER = BEAVER_CARD + "{{ eos_token }}"  # as safe-rlhf trains
PLAIN = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
PAIR_OF_TEXTS = "{{ messages[0]['content'] + '[SEP]' + messages[1]['content'] }}"
