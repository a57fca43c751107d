"""Who is who in tests of NATS: TLS certificates, nkeys and .creds files, made with openssl(1).

An nkey is base32( prefix byte, 32 bytes, CRC-16/XMODEM little-endian ) of an Ed25519 key; a seed
has two prefix bytes. A JWT of NATS is signed with one: https://docs.nats.io/reference/reference-protocols
"""
import base64
import hashlib
import json
import os
import subprocess
import time

ACCOUNT, OPERATOR, USER = 0, 14 << 3, 20 << 3  # A…, O…, U…
SEED = 18 << 3  # S…


def openssl(*arguments, data=None):
    return subprocess.run(("openssl",) + arguments, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=True).stdout


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def encode(data):
    data += crc16(data).to_bytes(2, "little")
    return base64.b32encode(data).decode().rstrip("=")


class Key:
    """An Ed25519 key of a kind; `public` and `seed` as NATS writes them."""

    def __init__(self, folder, name, kind):
        self.path = os.path.join(folder, name + ".pem")
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        secret = openssl("pkey", "-in", self.path, "-outform", "DER")[-32:]
        public = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:]
        self.public = encode(bytes([kind]) + public)
        self.seed = encode(bytes([SEED | kind >> 5, (kind & 31) << 3]) + secret)

    def sign(self, data):
        path = self.path + ".data"
        with open(path, "wb") as file:
            file.write(data)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", path)


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(issuer, subject, name, nats):
    claims = {"iat": int(time.time()), "iss": issuer.public, "name": name, "sub": subject.public,
              "nats": dict(nats, version=2)}
    digest = hashlib.new("sha512_256", json.dumps(claims).encode()).digest()
    claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return text + "." + base64url(issuer.sign(text.encode()))


def credentials(folder):
    """A .creds file, and the server's side of it as config."""
    operator = Key(folder, "operator", OPERATOR)
    account = Key(folder, "account", ACCOUNT)
    user = Key(folder, "user", USER)
    limits = {"subs": -1, "data": -1, "payload": -1}
    wide = dict(limits, imports=-1, exports=-1, wildcards=True, conn=-1, leaf=-1,
                mem_storage=-1, disk_storage=-1, streams=-1, consumer=-1)
    system = Key(folder, "system", ACCOUNT)
    system_jwt = jwt(operator, system, "SYS", {"type": "account", "limits": dict(
        wide, mem_storage=0, disk_storage=0, streams=0, consumer=0)})
    operator_jwt = jwt(operator, operator, "op", {"type": "operator"})
    account_jwt = jwt(operator, account, "shop", {"type": "account", "limits": wide})
    user_jwt = jwt(account, user, "store-a", dict(limits, type="user", pub={}, sub={}))
    path = os.path.join(folder, "user.creds")
    with open(path, "w") as file:
        file.write("-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n"
                   "-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n"
                   % (user_jwt, user.seed))
    return path, ('operator: "%s"\nsystem_account: %s\nresolver: MEMORY\n'
                  'resolver_preload: {%s: "%s", %s: "%s"}\n'
                  % (operator_jwt, system.public, account.public, account_jwt, system.public,
                     system_jwt))


def nkey(folder):
    """A file with seed and public key, and the server's side of it."""
    user = Key(folder, "nkey", USER)
    path = os.path.join(folder, "user.nk")
    with open(path, "w") as file:
        file.write(user.seed + "\n" + user.public + "\n")
    return path, "authorization: {users: [{nkey: %s}]}\n" % user.public


def certificate(folder, name, authority=None, extra=""):
    """name.pem and name.key, signed by an authority (itself without one)."""
    path = os.path.join(folder, name)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path + ".key")
    arguments = ["req", "-new", "-key", path + ".key", "-subj", "/CN=" + name]
    if authority is None:
        openssl(*arguments, "-x509", "-days", "30", "-out", path + ".pem")
        return path
    request = openssl(*arguments)
    with open(path + ".ext", "w") as file:
        file.write(extra)
    openssl("x509", "-req", "-CA", authority + ".pem", "-CAkey", authority + ".key",
            "-CAcreateserial", "-days", "30", "-extfile", path + ".ext", "-out", path + ".pem",
            data=request)
    return path


def certificates(folder):
    """ca.pem, client.{pem,key}, stranger.{pem,key} (of another authority), and the server's side."""
    authority = certificate(folder, "ca")
    server = certificate(folder, "server", authority, "subjectAltName=DNS:localhost\n")
    certificate(folder, "client", authority)
    certificate(folder, "stranger", certificate(folder, "other-ca"))
    return ("tls: {cert_file: \"%s.pem\", key_file: \"%s.key\", ca_file: \"%s.pem\", verify: true}\n"
            % (server, server, authority))
