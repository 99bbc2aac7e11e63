"""A greeting that counts its visitors."""
import argparse
import itertools
import threading
import urllib.request

import flask
import simplejson
import waitress


def create_app():
    app = flask.Flask(__name__)
    visitors = itertools.count(1)

    @app.get("/")
    def hello():
        return flask.render_template_string("Hello from an RPM, visitor {{ n }}!\n", n=next(visitors))

    @app.get("/health")
    def health():
        return flask.Response(simplejson.dumps({"ok": True}), mimetype="application/json")

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--self-test", action="store_true", help="serve, answer two requests, print the answers, stop")
    options = parser.parse_args()
    if not options.self_test:
        waitress.serve(create_app(), listen=options.listen)
        return
    server = waitress.create_server(create_app(), listen="127.0.0.1:0")
    threading.Thread(target=server.run, daemon=True).start()
    for page in ("/", "/health"):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (int(server.effective_port), page), timeout=30) as answer:
            print(answer.read().decode().strip())
