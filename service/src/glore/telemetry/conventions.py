"""Names in spans and events, as OpenTelemetry's semantic conventions have them.

GenAI conventions 0.1.0, all of them in development; general conventions 1.44. What has no name
there begins with `glore.`.
"""

from typing import Final

# spans of requests
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
ERROR_TYPE: Final = "error.type"

# spans of questions and of engine calls
OPERATION: Final = "gen_ai.operation.name"
AGENT: Final = "gen_ai.agent.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STREAM: Final = "gen_ai.request.stream"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK_SECONDS: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
WORKFLOW: Final = "invoke_workflow"  # operations
CHAT: Final = "chat"
TEXT_COMPLETION: Final = "text_completion"

# events
EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"

# ours
SCORE: Final = "score"  # the operation of a reward model
ROLE: Final = "glore.role"
REQUEST_ID: Final = "glore.request_id"
STRATEGY: Final = "glore.strategy"
OUTCOME: Final = "glore.outcome"  # ok, failed, stopped, cancelled
ENGINE_CALLS: Final = "glore.engine_calls"
CANDIDATES: Final = "glore.candidates"
ROUNDS: Final = "glore.rounds"
DEGRADED: Final = "glore.degraded"
SELECTED_KIND: Final = "glore.selected.kind"
SELECTED_REASON: Final = "glore.selected.reason"
CANDIDATE: Final = "glore.candidate"  # its index
CANDIDATE_KIND: Final = "glore.candidate.kind"
STEP: Final = "glore.step"  # its index
OUTCOME_SCORE: Final = "glore.outcome_score"  # evaluations
LOWEST_STEP_SCORE: Final = "glore.lowest_step_score"
VERIFIER_PREFIX: Final = "glore.verifier."  # of the evaluation by a verifier of this name
ACTION_PREFIX: Final = "glore."  # of the fields of an action: round, base, candidate

# What decides whether texts are in spans, and the values that say so.
CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CAPTURING: Final = frozenset({"true", "span_only", "span_and_event"})
