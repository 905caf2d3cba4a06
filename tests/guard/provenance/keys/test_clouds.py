"""Cloud key services: what we ask and what we make of answers, over botocore's stub, real gRPC, and azure-core."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from guard.errors import KeyMaterialError, SigningError
from guard.provenance import certificates
from guard.provenance.certificates import ECDSA_SIZES
from guard.provenance.key_source import CallbackKeySource
from guard.provenance.keys.aws_kms import AWSKMSKey
from guard.provenance.keys.azure_vault import AzureVaultKey
from guard.provenance.keys.google_kms import GoogleKMSKey, crc32c
from guard.provenance.keys.reference import AWSReference, AzureReference, GoogleReference, parse_reference
from guard.provenance.keys.signature_forms import digest_of
from tests.guard.provenance.keys.holders import KEYS, SigningKey, as_cloud
from tests.guard.provenance.support import Identity

DATA = b"what is signed"
AZURE = {name: key for name, key in KEYS.items() if name != "ed25519"}


def checked(key: SigningKey, algorithm: str, signature: bytes) -> None:
    """The raw signature fits the key; raises InvalidSignature otherwise."""
    certificates._verify(key.public_key(), algorithm, signature, DATA)


def public_der(key: SigningKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- AWS -------------------------------------------------------------------------------------------------------------

ARN = "arn:aws:kms:eu-central-1:111122223333:key/0d7c8a2e-0000-0000-0000-000000000000"
AWS = parse_reference(f"awskms:///{ARN}")


@pytest.fixture
def kms() -> Iterator[Any]:
    """A KMS client whose every request is checked against the service's model and the expected parameters."""
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("kms", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()
    client.close()


@pytest.mark.parametrize("algorithm", KEYS)
def test_aws_signs(kms: Any, algorithm: str) -> None:
    client, stub = kms
    key, raw = KEYS[algorithm], algorithm == "ed25519"
    message = DATA if raw else digest_of(algorithm, DATA)
    name = {"ps256": "RSASSA_PSS_SHA_256", "ed25519": "ED25519_SHA_512"}.get(algorithm, f"ECDSA_SHA_{algorithm[2:]}")
    stub.add_response("get_public_key", {"PublicKey": public_der(key), "KeyUsage": "SIGN_VERIFY"}, {"KeyId": ARN})
    expected = {"KeyId": ARN, "Message": message, "MessageType": "RAW" if raw else "DIGEST"}
    for _ in range(2):  # the public key is asked for once
        stub.add_response(
            "sign", {"KeyId": ARN, "Signature": as_cloud(key, message)}, expected | {"SigningAlgorithm": name}
        )
    assert isinstance(AWS, AWSReference)
    handle = AWSKMSKey(AWS, client=client)
    for _ in range(2):
        checked(key, algorithm, handle.sign(DATA))


@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException", "KMSInvalidStateException"])
def test_aws_says_why_it_refused(kms: Any, code: str) -> None:
    client, stub = kms
    stub.add_client_error("get_public_key", code)
    assert isinstance(AWS, AWSReference)
    with pytest.raises(SigningError, match=code):
        AWSKMSKey(AWS, client=client).sign(DATA)


def test_aws_keys_for_encryption_are_refused(kms: Any) -> None:
    client, stub = kms
    answer = {"PublicKey": public_der(KEYS["ps256"]), "KeyUsage": "ENCRYPT_DECRYPT"}
    stub.add_response("get_public_key", answer)
    assert isinstance(AWS, AWSReference)
    with pytest.raises(KeyMaterialError, match="ENCRYPT_DECRYPT"):
        AWSKMSKey(AWS, client=client).public_key()


def test_aws_that_cannot_be_reached() -> None:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "kms",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    assert isinstance(AWS, AWSReference)
    with pytest.raises(SigningError, match="cannot be reached"):
        AWSKMSKey(AWS, client=client).sign(DATA)
    client.close()


def test_an_answer_that_is_no_signature_is_told(kms: Any) -> None:
    client, stub = kms
    stub.add_response("get_public_key", {"PublicKey": public_der(KEYS["es256"]), "KeyUsage": "SIGN_VERIFY"})
    stub.add_response("sign", {"Signature": b"\x30\x03abc"})
    assert isinstance(AWS, AWSReference)
    with pytest.raises(SigningError, match="no es256 signature in DER"):
        AWSKMSKey(AWS, client=client).sign(DATA)


# --- Google ----------------------------------------------------------------------------------------------------------

RESOURCE = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3"
GOOGLE = GoogleReference(name=RESOURCE)


@dataclass
class GoogleKMS:
    """The two calls of Cloud KMS over a real gRPC channel, with a local key behind them."""

    key: SigningKey
    spoil: Callable[[Any], None] = field(default=lambda answer: None)
    asked: list[Any] = field(default_factory=list)

    def serve(self, pool: ThreadPoolExecutor) -> tuple[Any, Any]:
        import grpc
        from google.cloud import kms_v1
        from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

        def public(request: Any, context: Any) -> Any:
            pem = self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return kms_v1.PublicKey(pem=pem.decode(), name=request.name)

        def sign(request: Any, context: Any) -> Any:
            self.asked.append(request)
            digest = request.digest.sha256 or request.digest.sha384 or request.digest.sha512
            message = digest or request.data
            arrived = (request.digest_crc32c if digest else request.data_crc32c) == crc32c(message)
            signature = as_cloud(self.key, message)
            answer = kms_v1.AsymmetricSignResponse(
                signature=signature,
                signature_crc32c=crc32c(signature),
                name=request.name,
                **{"verified_digest_crc32c" if digest else "verified_data_crc32c": arrived},
            )
            self.spoil(answer)
            return answer

        def handler(call: Any, request: Any, answer: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                call, request_deserializer=request.deserialize, response_serializer=answer.serialize
            )

        methods = {
            "GetPublicKey": handler(public, kms_v1.GetPublicKeyRequest, kms_v1.PublicKey),
            "AsymmetricSign": handler(sign, kms_v1.AsymmetricSignRequest, kms_v1.AsymmetricSignResponse),
        }
        server = grpc.server(pool)
        name = "google.cloud.kms.v1.KeyManagementService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        return server, kms_v1.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))


@pytest.fixture
def google() -> Iterator[Callable[[GoogleKMS], GoogleKMSKey]]:
    started: list[tuple[Any, Any]] = []
    with ThreadPoolExecutor(2) as pool:

        def start(service: GoogleKMS) -> GoogleKMSKey:
            started.append(service.serve(pool))
            return GoogleKMSKey(GOOGLE, client=started[-1][1], deadline_s=10)

        yield start
        for server, client in started:
            client.transport.close()
            server.stop(None).wait()


@pytest.mark.parametrize("algorithm", KEYS)
def test_google_signs(google: Callable[[GoogleKMS], GoogleKMSKey], algorithm: str) -> None:
    service = GoogleKMS(KEYS[algorithm])
    checked(KEYS[algorithm], algorithm, google(service).sign(DATA))
    (asked,) = service.asked
    assert asked.name == RESOURCE
    assert bool(asked.data) is (algorithm == "ed25519"), "only Ed25519 gets the message itself"


@pytest.mark.parametrize("what", ["signature_crc32c", "verified_digest_crc32c", "name"])
def test_google_answers_that_were_damaged_are_refused(google: Callable[[GoogleKMS], GoogleKMSKey], what: str) -> None:
    wrong = {"signature_crc32c": 1, "verified_digest_crc32c": False, "name": "another key"}[what]
    service = GoogleKMS(KEYS["es256"], spoil=lambda answer: setattr(answer, what, wrong))
    with pytest.raises(SigningError, match="damaged"):
        google(service).sign(DATA)


def test_google_that_cannot_be_reached(google: Callable[[GoogleKMS], GoogleKMSKey]) -> None:
    import grpc
    from google.cloud import kms_v1
    from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

    channel = grpc.insecure_channel("127.0.0.1:1")
    client = kms_v1.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
    began = time.monotonic()
    with pytest.raises(SigningError, match="failed on get_public_key"):
        GoogleKMSKey(GOOGLE, client=client, deadline_s=0.5).sign(DATA)
    assert time.monotonic() - began < 5, "the client's own rule would try for 60 s"
    channel.close()


@pytest.mark.parametrize(("text", "crc"), [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)])
def test_crc32c_vectors(text: bytes, crc: int) -> None:
    """Source: RFC 3720 appendix B.4 (32 zero bytes), the check value of CRC-32C."""
    assert crc32c(text) == crc


# --- Azure -----------------------------------------------------------------------------------------------------------

VERSION = "0123456789abcdef0123456789abcdef"
AZURE_KEY = AzureReference(vault_url="https://v.vault.azure.net", name="claims", version=VERSION)


def jwk_of(key: SigningKey) -> dict[str, Any]:
    def text(value: int, size: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()

    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA-HSM", "n": text(numbers.n, 256), "e": text(numbers.e, 3)}
    assert isinstance(public, ec.EllipticCurvePublicKey)
    point, size = public.public_numbers(), (public.key_size + 7) // 8
    return {"kty": "EC", "crv": f"P-{public.key_size}", "x": text(point.x, size), "y": text(point.y, size)}


class Vault:
    """Key Vault's REST interface behind azure-core's transport, with a local key."""

    def __init__(self, key: SigningKey, *, status: int = 200) -> None:
        self.key, self.status, self.asked = key, status, []  # type: ignore[var-annotated]

    def client(self) -> Any:
        import requests
        from azure.core.credentials import AccessToken
        from azure.core.pipeline.transport import RequestsTransport
        from azure.keyvault.keys import KeyClient
        from requests.adapters import BaseAdapter

        vault = self

        class Adapter(BaseAdapter):
            def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
                answer = requests.Response()
                answer.request, answer.url, answer.encoding = request, request.url, "utf-8"
                answer.status_code, fields = vault.answer(request)
                answer.headers["Content-Type"] = "application/json"
                if answer.status_code == 401:
                    answer.headers["WWW-Authenticate"] = (
                        'Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"'
                    )
                import io

                import urllib3

                answer.raw = urllib3.HTTPResponse(
                    io.BytesIO(json.dumps(fields).encode()),
                    headers=dict(answer.headers),
                    status=answer.status_code,
                    preload_content=False,
                )
                return answer

            def close(self) -> None:
                pass

        class Credential:
            def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
                return AccessToken("token", 4_000_000_000)

        session = requests.Session()
        session.mount("https://", Adapter())
        transport = RequestsTransport(session=session, session_owner=False)
        return KeyClient("https://v.vault.azure.net", Credential(), transport=transport, retry_total=0)

    def answer(self, request: Any) -> tuple[int, dict[str, Any]]:
        if "Authorization" not in request.headers:
            return 401, {}
        if self.status != 200:
            return self.status, {"error": {"code": "Forbidden", "message": "no"}}
        kid = f"https://v.vault.azure.net/keys/claims/{VERSION}"
        if request.method == "GET":
            return 200, {"key": jwk_of(self.key) | {"kid": kid, "key_ops": ["sign", "verify"]}, "attributes": {}}
        asked = json.loads(request.body)
        self.asked.append((request.url, asked["alg"]))
        digest = base64.urlsafe_b64decode(asked["value"] + "==")
        signature = as_cloud(self.key, digest)
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(signature)
            size = ECDSA_SIZES[asked["alg"].lower()]
            signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        return 200, {"kid": kid, "value": base64.urlsafe_b64encode(signature).rstrip(b"=").decode()}


@pytest.mark.parametrize("algorithm", AZURE)
def test_azure_signs(algorithm: str) -> None:
    vault = Vault(AZURE[algorithm])
    checked(AZURE[algorithm], algorithm, AzureVaultKey(AZURE_KEY, client=vault.client()).sign(DATA))
    for url, asked in vault.asked:
        assert f"/keys/claims/{VERSION}/sign" in url
        assert asked == algorithm.upper()


def test_azure_says_that_it_refused() -> None:
    with pytest.raises(SigningError, match="HttpResponseError"):
        AzureVaultKey(AZURE_KEY, client=Vault(KEYS["es256"], status=403).client()).sign(DATA)


def test_a_cloud_key_under_anothers_certificate_is_told(ours: Identity, kms: Any) -> None:
    client, stub = kms
    key = KEYS["es256"]
    stub.add_response("get_public_key", {"PublicKey": public_der(key), "KeyUsage": "SIGN_VERIFY"})
    stub.add_response("sign", {"Signature": as_cloud(key, digest_of("es256", DATA))})
    assert isinstance(AWS, AWSReference)
    chain = ours.keys.signer.certificate_chain_pem
    source = CallbackKeySource(
        certificate_chain_pem=chain, sign=AWSKMSKey(AWS, client=client).sign, now=datetime.now(UTC)
    )
    with pytest.raises(KeyMaterialError, match="does not verify with the certificate"):
        source.sign(DATA)
