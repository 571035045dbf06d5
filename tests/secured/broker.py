"""A real Kafka that lets nobody in who can't say who he is: TLS, SASL and access lists, a listener for each case."""

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from relationship_worker.local.kafka import Kafka
from relationship_worker.local.processes import free_port
from secured.certificates import A_DAY, Authority

MTLS, SCRAM, OAUTH, EXPIRED, ELSEWHERE = "MTLS", "SCRAM", "OAUTH", "EXPIRED", "ELSEWHERE"
RENEWED = "RENEWED"  # as MTLS, with other certificates after each new start, where a test wants that
SASL = {SCRAM: "SCRAM-SHA-512", OAUTH: "OAUTHBEARER"}
LISTENERS = (MTLS, RENEWED, SCRAM, OAUTH, EXPIRED, ELSEWHERE)
USERS = ("init", "run", "replay", "desk", "erp")
"""Each has a password that is its name backwards."""
ISSUER, AUDIENCE = "https://login.example.org", "kafka"
_PACKAGE = "org.apache.kafka.common.security"
_OAUTH = f"{_PACKAGE}.oauthbearer"


class Tokens:
    """Whoever signs tokens: what Kafka knows him by, and the tokens."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": _number(numbers.n), "e": _number(numbers.e)}
        self.known_by = folder / "jwks.json"
        self.known_by.write_text(json.dumps({"keys": [key]}))

    def token(self, user: str, *, seconds: float = 3600) -> str:
        """One that is good for so long; less than none: expired."""
        now = int(time.time())
        head = _json({"alg": "RS256", "kid": "1"})
        body = _json({"sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": now - 7200, "exp": now + int(seconds)})
        signed = self._key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{head}.{body}.{_text(signed)}"


class SecuredKafka(Kafka):
    """The listener of the base class is for the tests, which may do all: nobody beyond this machine reaches it."""

    def __init__(self, folder: Path, jars: list[Path], certificates: Path) -> None:
        super().__init__(folder, jars)
        self.ports = {name: free_port() for name in LISTENERS}
        self.authority = Authority(certificates, "authority")
        self.clients = Authority(certificates, "clients")
        self.trusted = dict.fromkeys(LISTENERS, self.clients.file)
        self.tokens = Tokens(certificates)
        here = self.authority.issue("broker")
        self.keys = dict.fromkeys(LISTENERS, here)
        self.keys[EXPIRED] = self.authority.issue("expired", until=datetime.now(UTC) - A_DAY)
        self.keys[ELSEWHERE] = self.authority.issue("elsewhere", host="kafka.example.org")
        self._java.insert(
            1, f"-D{_PACKAGE.replace('.common.security', '')}.sasl.oauthbearer.allowed.urls={self._known_by}"
        )

    @property
    def _known_by(self) -> str:
        return self.tokens.known_by.as_uri()

    def address(self, listener: str) -> str:
        """host:port"""
        return f"127.0.0.1:{self.ports[listener]}"

    def format_options(self) -> list[str]:
        users = [f"SCRAM-SHA-512=[name={user},password={user[::-1]}]" for user in USERS]
        return [word for user in users for word in ("--add-scram", user)]

    def settings(self) -> dict[str, object]:
        settings = super().settings()
        protocols = {name: "SASL_SSL" if name in SASL else "SSL" for name in LISTENERS}
        own = {name: f"{name}://{self.address(name)}" for name in LISTENERS}
        for name in ("listeners", "advertised.listeners"):
            settings[name] = ",".join([str(settings[name]), *own.values()])
        map_ = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **protocols}
        settings["listener.security.protocol.map"] = ",".join(f"{name}:{value}" for name, value in map_.items())
        settings["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        settings["super.users"] = "User:ANONYMOUS"
        settings["ssl.principal.mapping.rules"] = "RULE:^CN=([^,]+).*$/$1/"
        for name in LISTENERS:
            start = f"listener.name.{name.lower()}."
            settings[f"{start}ssl.keystore.type"] = settings[f"{start}ssl.truststore.type"] = "PEM"
            settings[f"{start}ssl.keystore.location"] = self.keys[name].both
            settings[f"{start}ssl.truststore.location"] = self.trusted[name]
            settings[f"{start}ssl.client.auth"] = "required" if name in (MTLS, RENEWED) else "none"
        for name, mechanism in SASL.items():
            settings[f"listener.name.{name.lower()}.sasl.enabled.mechanisms"] = mechanism
        settings["listener.name.scram.scram-sha-512.sasl.jaas.config"] = f"{_PACKAGE}.scram.ScramLoginModule required;"
        oauth = "listener.name.oauth.oauthbearer."
        settings[f"{oauth}sasl.jaas.config"] = f"{_OAUTH}.OAuthBearerLoginModule required;"
        settings[f"{oauth}sasl.server.callback.handler.class"] = f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
        settings[f"{oauth}sasl.oauthbearer.jwks.endpoint.url"] = self._known_by
        settings[f"{oauth}sasl.oauthbearer.expected.audience"] = AUDIENCE
        settings[f"{oauth}sasl.oauthbearer.expected.issuer"] = ISSUER
        return settings

    def start_again(self) -> None:
        """With the settings as they are by now; every connection is a new one then."""
        self.stop()
        (self.folder / "server.properties").write_text(self._properties())
        self.start()


def _json(value: object) -> str:
    return _text(json.dumps(value).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))
