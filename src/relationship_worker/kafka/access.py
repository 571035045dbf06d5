"""Who the worker is to Kafka, and how it makes sure who Kafka is: TLS and SASL, the same for every client."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import conn
from aiokafka.errors import SaslAuthenticationFailed

from relationship_worker.kafka.files import Password, TokenFile

PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL = "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"
SCRAM, OAUTHBEARER = "SCRAM-SHA-512", "OAUTHBEARER"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a client shows at each new connection. `mechanism`: of SASL, with what belongs to it."""

    protocol: str = PLAINTEXT
    tls: ssl.SSLContext | None = None
    mechanism: str | None = None
    username: str | None = None
    password: Password | None = None
    tokens: TokenFile | None = None

    @property
    def is_encrypted(self) -> bool:
        return self.protocol in (SSL, SASL_SSL)

    def options(self) -> Mapping[str, Any]:
        """For a client of aiokafka."""
        given = {
            "security_protocol": self.protocol,
            "ssl_context": self.tls,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "sasl_oauth_token_provider": self.tokens,
        }
        return {name: value for name, value in given.items() if value is not None}


IN_PLAIN_TEXT = Access()


class _Bearer(conn.OAuthAuthenticator):  # type: ignore[misc]  # aiokafka ships no types
    """Whoever brings a token that Kafka does not take is told why, and not yet sent away. The client reads only that it was not
    sent away, takes itself for let in, and is cut off at its next request."""

    async def step(self, answer: bytes | None) -> Any:
        if answer:
            raise SaslAuthenticationFailed(f"the token is not taken: {answer.decode(errors='replace')}")
        return await super().step(answer)


conn.OAuthAuthenticator = _Bearer
