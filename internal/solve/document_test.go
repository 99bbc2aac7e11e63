package solve

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"reqpm/internal/pep508"
)

// example is one message of docs/resolution.md: what is on the index, what is asked, and
// what may be chosen in place of Python 3.11.
type example struct {
	universe, roots string
	edit            func(*Request)
	fail            string // "name version" whose requirements cannot be had
}

var examples = map[string]example{
	"two pins": {
		universe: "cryptography 48.0.0:\n cryptography 49.0.0:\n cryptography 50.0.0:\n pyopenssl 26.1.0: cryptography<50,>=46\n pyopenssl 26.2.0: cryptography<51,>=46\n flask 3.1.3:",
		roots:    "flask==3.1.3\npyopenssl==26.1.0\ncryptography==50.0.0",
	},
	"override": {
		universe: "cryptography 49.0.0:\n cryptography 50.0.0:\n pyopenssl 26.1.0: cryptography<50,>=46",
		roots:    "pyopenssl==26.1.0\ncryptography==50.0.0\n-o cryptography==50.0.0\n-o mistyped==1",
	},
	"override that nothing fits": {
		universe: "app 1.0: lib>=2\n lib 1.0:\n lib 2.0:\n lib 2.1:", roots: "app\n-o lib==3.0",
	},
	"another Python": {
		universe: `greenlet 2.0.2:
			greenlet 3.0rc3:
			greenlet 3.0.0:
			greenlet 3.0.1:
			gevent 23.9.1: greenlet>=3.0rc3; python_version=='3.11' | greenlet>=2.0.0; python_version!='3.11'`,
		roots: "gevent==23.9.1\ngreenlet==2.0.2",
	},
	"constraint": {
		universe: "django 5.0: asgiref>=3.7,<4\n asgiref 3.4:\n asgiref 3.6:\n asgiref 3.7:\n asgiref 3.8:",
		roots:    "django==5.0\n-c asgiref<3.6",
	},
	"two lines of one name": {
		universe: "redis 5.0:\n redis 6.0:\n redis 6.4:", roots: "redis>=6\nredis==5.0",
	},
	"Python first": {
		universe: "django 5.2 py>=3.10:\n django 6.0 py>=3.12:\n numpy 2.4 py>=3.11:\n ipython 9.9 py>=3.12:\n ipython 8.2 py>=3.8:",
		roots:    "django==6.0\nnumpy\nipython>=9",
	},
	"Python further down": {
		universe: "app 1.0: numpy>=2.5\n numpy 2.4 py>=3.11:\n numpy 2.5 py>=3.12:\n numpy 2.6 py>=3.12:",
		roots:    "app",
	},
	"pre-release": {
		universe: "gevent 25.9: greenlet>3.1\n greenlet 3.1:\n greenlet 3.2rc1:\n greenlet 4.0: nosuch", roots: "gevent",
	},
	"yanked": {
		universe: "app 1.0: lib>=2\n lib 1.0:\n lib 2.0 !yanked:", roots: "app",
	},
	"no source": {
		universe: "certifi 2026.9.1:\n certifi 2026.10.19.post1 !wheel:", roots: "certifi",
	},
	"no such package": {
		universe: "app 1.0: in-house-lib>=1\n app 0.9: in-house-lib", roots: "app",
	},
	"no such version": {
		universe: "app 1.0:\n app 1.1:\n app 2.0b1:", roots: "app>=3",
	},
	"hundreds of versions": {
		universe: hundreds(), roots: "boto3\nurllib3<1.25",
	},
	"no metadata": {
		universe: "mod-wsgi 5.0.2:\n app 1.0: mod-wsgi", roots: "app", fail: "mod-wsgi 5.0.2",
	},
	"no metadata, pinned": {
		universe: "mod-wsgi 5.0.2:\n app 1.0: mod-wsgi", roots: "app==1.0\nmod-wsgi==5.0.2", fail: "mod-wsgi 5.0.2",
		edit: func(r *Request) { r.KeepUnknown = true },
	},
	"no such extra": {
		universe: "celery 5.5: redis; extra=='redis'\n redis 6.0:", roots: "celery[sqs]==5.5",
	},
}

func hundreds() string {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "boto3 1.%d: botocore==1.%d.0\n botocore 1.%d.0: urllib3>=1.25\n", i, i, i)
	}
	return b.String() + "urllib3 1.24.3:\n urllib3 1.26.20:\n urllib3 2.8.0:"
}

// show is an example as the page has it: the lines asked for, and what ReqPM says.
func (e example) show(t *testing.T) string {
	u, req := parseUniverse(t, e.universe), request(t, e.roots)
	if e.edit != nil {
		e.edit(&req)
	}
	if e.fail != "" {
		u.fail[e.fail] = errors.New("its build backend ends with status 1: RuntimeError: 'apxs' command appears not to be installed")
	}
	var b strings.Builder
	for i, line := range strings.Split(e.roots, "\n") {
		switch {
		case strings.HasPrefix(line, "-c "):
			fmt.Fprintf(&b, "constraints.txt:%d   %s\n", i+1, line[3:])
		case strings.HasPrefix(line, "-o "):
			fmt.Fprintf(&b, "--override '%s'\n", line[3:])
		default:
			fmt.Fprintf(&b, "requirements.txt:%d  %s\n", i+1, line)
		}
	}
	b.WriteString("\n")
	sol, err := Solve(t.Context(), u, req)
	if c, ok := errors.AsType[*Conflict](err); ok {
		c.Changes, err = Mend(t.Context(), u, req, c, MendOptions{Pythons: []PythonChoice{
			{pep508.Linux("3.9.21", "x86_64"), "--target el9-py39"},
			{pep508.Linux("3.12.9", "x86_64"), "--target el9"},
		}})
		b.WriteString("reqpm: " + c.Error() + "\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range sol.Warnings {
		b.WriteString("warning: " + w + "\n")
	}
	return b.String()
}

var shownRE = regexp.MustCompile("(?ms)(?:^<!-- example: ([^\n]*) -->\n)?^```text\n(.*?)^```$")

// Every message of the page comes from an example, and every example is on it. -update writes
// the messages as they are now; read the page then.
func TestMessagesOfTheDocument(t *testing.T) {
	const file = "../../docs/resolution.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	now := shownRE.ReplaceAllStringFunc(string(text), func(block string) string {
		m := shownRE.FindStringSubmatch(block)
		e, ok := examples[m[1]]
		if !ok {
			t.Errorf("no example is named %q, for\n%s", m[1], m[2])
			return block
		}
		shown[m[1]] = true
		got := e.show(t)
		if got != m[2] && !*update {
			t.Errorf("%s: the page shows\n%s\nit is now\n%s", m[1], m[2], got)
		}
		return fmt.Sprintf("<!-- example: %s -->\n```text\n%s```", m[1], got)
	})
	for name := range examples {
		if !shown[name] {
			t.Errorf("the example %q is not shown", name)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
