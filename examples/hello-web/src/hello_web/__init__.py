"""A greeting that counts its visitors in a database in memory."""
import argparse
import threading
import urllib.request

import flask
import sqlalchemy
import waitress


def create_app():
    app = flask.Flask(__name__)
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool,
                                      connect_args={"check_same_thread": False})
    with engine.begin() as db:
        db.execute(sqlalchemy.text("create table visit (id integer primary key)"))

    @app.get("/")
    def hello():
        with engine.begin() as db:
            db.execute(sqlalchemy.text("insert into visit default values"))
            count = db.execute(sqlalchemy.text("select count(*) from visit")).scalar()
        return flask.render_template_string("Hello from an RPM, visitor {{ n }}!\n", n=count)

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--self-test", action="store_true", help="serve, answer one request, print the answer, stop")
    options = parser.parse_args()
    if not options.self_test:
        waitress.serve(create_app(), listen=options.listen)
        return
    server = waitress.create_server(create_app(), listen="127.0.0.1:0")
    threading.Thread(target=server.run, daemon=True).start()
    with urllib.request.urlopen("http://127.0.0.1:%d/" % server.effective_port, timeout=30) as answer:
        print(answer.read().decode().strip())
