"""Where Kafka is and how it is reached, by the settings: for the worker and for every command."""

from relationship_worker.kafka.access import OAUTHBEARER, SCRAM, Access
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.files import BrokenFile, Certificates, Password, SecretFile, TlsContext, TokenFile
from relationship_worker.plain_text import is_loopback
from relationship_worker.settings import InvalidSetting, Settings, environment_name

_PROTOCOL, _MECHANISM = environment_name("kafka_security_protocol"), environment_name("kafka_sasl_mechanism")


def kafka_by(settings: Settings) -> Connection:
    """Nothing is opened yet but the files that the settings name. Raises InvalidSetting."""
    _refuse_plain_text(settings)
    _refuse_what_would_be_ignored(settings)
    return Connection(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=settings.group,
        prefix=settings.topic_prefix,
        access=_access(settings),
    )


def _access(settings: Settings) -> Access:
    protocol = settings.kafka_security_protocol
    certificates = Certificates(
        authority=settings.kafka_ca_file, certificate=settings.kafka_certificate_file, key=settings.kafka_key_file
    )
    tls = None
    if protocol.endswith("SSL"):
        try:
            tls = TlsContext.of(certificates)
        except BrokenFile as why:
            raise InvalidSetting(f"{why} (RELATIONSHIP_WORKER_KAFKA_CA_FILE, _CERTIFICATE_FILE, _KEY_FILE)") from None
    if not protocol.startswith("SASL"):
        return Access(protocol=protocol, tls=tls)
    if settings.kafka_sasl_mechanism == SCRAM:
        username, password = settings.kafka_username, _password(settings)
        return Access(protocol=protocol, tls=tls, mechanism=SCRAM, username=username, password=password)
    return Access(protocol=protocol, tls=tls, mechanism=OAUTHBEARER, tokens=_tokens(settings))


def _password(settings: Settings) -> Password:
    name = environment_name("kafka_password_file")
    if settings.kafka_password_file is None:
        given = settings.kafka_password.get_secret_value()
        if not settings.kafka_username or not given:
            raise InvalidSetting(f"{SCRAM} needs {environment_name('kafka_username')} and {name}")
        return Password(lambda: given)
    if not settings.kafka_username:
        raise InvalidSetting(f"{SCRAM} needs {environment_name('kafka_username')}")
    try:
        return Password(SecretFile(settings.kafka_password_file).read)
    except BrokenFile as why:
        raise InvalidSetting(f"the setting {name} makes no sense: {why}") from None


def _tokens(settings: Settings) -> TokenFile:
    name = environment_name("kafka_token_file")
    if settings.kafka_token_file is None:
        raise InvalidSetting(f"{OAUTHBEARER} needs {name}")
    try:
        return TokenFile(settings.kafka_token_file)
    except BrokenFile as why:
        raise InvalidSetting(f"the setting {name} makes no sense: {why}") from None


def _refuse_plain_text(settings: Settings) -> None:
    """Also where the broker's advertised addresses lie elsewhere, that is its administrator's to say."""
    if settings.insecure or settings.kafka_security_protocol.endswith("SSL"):
        return
    for server in settings.kafka_bootstrap_servers.split(","):
        host = server.strip().rpartition(":")[0] or server.strip()
        if not is_loopback(host):
            raise InvalidSetting(
                f"Kafka at {server.strip()} is beyond this machine, and {_PROTOCOL}={settings.kafka_security_protocol} "
                f"encrypts nothing: set it to SSL or SASL_SSL, or allow plain text by --insecure "
                f"({environment_name('insecure')}=1)"
            )


def _refuse_what_would_be_ignored(settings: Settings) -> None:
    """Whoever sets a certificate or a mechanism believes that it is used."""
    sasl, encrypted = (
        settings.kafka_security_protocol.startswith("SASL"),
        settings.kafka_security_protocol.endswith("SSL"),
    )
    if sasl and settings.kafka_sasl_mechanism is None:
        raise InvalidSetting(f"{_PROTOCOL}={settings.kafka_security_protocol} needs {_MECHANISM}")
    if settings.kafka_sasl_mechanism is not None and not sasl:
        raise InvalidSetting(f"{_MECHANISM} is set, and {_PROTOCOL}={settings.kafka_security_protocol} uses none")
    for name in ("kafka_ca_file", "kafka_certificate_file"):
        if getattr(settings, name) is not None and not encrypted:
            raise InvalidSetting(
                f"{environment_name(name)} is set, and {_PROTOCOL}={settings.kafka_security_protocol} uses none"
            )
    if settings.kafka_key_file is not None and settings.kafka_certificate_file is None:
        raise InvalidSetting(f"{environment_name('kafka_key_file')} needs {environment_name('kafka_certificate_file')}")
