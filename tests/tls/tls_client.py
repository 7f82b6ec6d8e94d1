# SPDX-License-Identifier: ISC
"""A client that makes one HTTPS request after the other, each on a connection of its own, and prints what came of each.

usage: tls_client.py PORT FOLDER STEP...      STEP: name=value,name=value (see `defaults`)
"""

import hashlib
import os
import select
import socket
import ssl
import sys
import time
import warnings

warnings.simplefilter("ignore")
defaults = {
    "path": "/bytes/10240", "ca": "ca", "mode": "required", "name": "localhost", "sni": "", "method": "GET", "version": "",
    "minor": "1", "ciphers": "", "alpn": "", "crl": "", "cert": "", "host": "", "read": "65536", "block": "1", "times": "1",
    "low": "", "high": "", "pha": "", "ask": "", "sleep": "", "fork": "", "send": "close", "end": "", "cadata": "",
}


def context_of(o, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = o["mode"] == "required" and bool(o["name"])
    context.verify_mode = {"required": ssl.CERT_REQUIRED, "none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL}[o["mode"]]
    if o["ca"]:
        context.load_verify_locations(os.path.join(folder, o["ca"] + ".pem"))
    if o["version"]:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[o["version"]]
    if o["low"]:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion[o["low"]], ssl.TLSVersion[o["high"]]
    context.post_handshake_auth = o["pha"] == "1"
    if o["ciphers"]:
        context.set_ciphers(o["ciphers"])
    if o["alpn"]:
        context.set_alpn_protocols(o["alpn"].split("+"))
    if o["crl"]:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if o["cert"]:
        context.load_cert_chain(os.path.join(folder, o["cert"] + ".pem"), os.path.join(folder, o["cert"] + ".key"))
    return context


def wait(secure, call):
    while True:
        try:
            return call()
        except ssl.SSLWantReadError:
            select.select([secure], [], [], 20)
        except ssl.SSLWantWriteError:
            select.select([], [secure], [], 20)


def facts(secure):
    """What the program may ask of its connection; not what is random in it."""
    chain = [hashlib.md5(one.public_bytes(2)).hexdigest()[:6] for one in secure._sslobj.get_verified_chain() or []]
    sent = [hashlib.md5(one.public_bytes(2)).hexdigest()[:6] for one in secure._sslobj.get_unverified_chain() or []]
    peer = hashlib.md5(secure.getpeercert(True)).hexdigest()[:6]
    return secure.version(), secure.cipher()[0], secure.selected_alpn_protocol(), secure.session_reused, peer, chain, sent, \
        secure.getpeercert().get("subject") if secure.context.verify_mode != ssl.CERT_NONE else None, secure.compression()


def request(port, o, folder):
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    plain.settimeout(None if o["block"] == "1" else 0)
    context = context_of(o, folder)
    with context.wrap_socket(plain, server_hostname=o["name"] or None, do_handshake_on_connect=False) as secure:
        wait(secure, secure.do_handshake)
        told = facts(secure) if o["ask"] else ()
        body = b"x=1" if o["method"] == "POST" else b""
        length = "Content-Length: 3\r\n" if body else ""
        head = f"{o['method']} {o['path']} HTTP/1.{o['minor']}\r\nHost: {o['host'] or 'localhost'}\r\n{length}" + \
            (f"Connection: {o['send']}\r\n" if o["send"] else "") + "\r\n"
        wait(secure, lambda: secure.send(head.encode() + body))
        if o["fork"] == "middle":
            fork(port, folder)
        got = b""
        while (data := wait(secure, lambda: secure.recv(int(o["read"])))):
            got += data
        if o["end"] == "unwrap":
            wait(secure, secure.unwrap)
    head, _, body = got.partition(b"\r\n\r\n")
    return head.decode("latin-1").replace("\r\n", "|"), len(body), hashlib.md5(body).hexdigest(), *told


def fork(port, folder):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        for _ in range(2):
            print("child", *attempt(port, dict(defaults), folder))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


def attempt(port, o, folder):
    try:
        return request(port, o, folder)
    except (OSError, ssl.SSLError) as error:
        return type(error).__name__, str(error)


def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    for step in sys.argv[3:]:
        o = dict(defaults)
        o.update(pair.split("=", 1) for pair in step.split(",") if pair)
        for _ in range(int(o["times"])):
            if o["sleep"]:
                time.sleep(float(o["sleep"]))
            if o["fork"] == "before":
                fork(port, folder)
            print(*attempt(port, o, folder), flush=True)


main()
