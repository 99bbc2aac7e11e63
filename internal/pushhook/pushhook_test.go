package pushhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

func header(pairs ...string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// GitHub's own example: "Testing the webhook payload validation" in its documentation.
func TestGitHubsExample(t *testing.T) {
	d, err := Read(header("X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"), []byte("Hello, World!"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Verify([]byte("It's a Secret to Everybody")); err != nil {
		t.Error(err)
	}
	if err := d.Verify([]byte("It's a secret to everybody")); !errors.Is(err, ErrSecret) {
		t.Errorf("another secret: %v", err)
	}
}

func TestForges(t *testing.T) {
	const secret = "a hook's secret"
	body := `{"ref": "refs/heads/main", "after": "` + commit + `", "commits": [{"added": ["a.txt"], "modified": [], "removed": []}],
		"repository": {"default_branch": "main"}}`
	form := url.Values{"payload": {body}}.Encode()
	for _, test := range []struct {
		name, forge, id string
		header          http.Header
		body            string
	}{
		{"GitHub", GitHub, "d1", header("X-GitHub-Event", "push", "X-GitHub-Delivery", "d1", "X-Hub-Signature-256", "sha256="+sign(secret, body)), body},
		{"GitHub, as a form", GitHub, "d1", header("Content-Type", "application/x-www-form-urlencoded", "X-GitHub-Event", "push", "X-GitHub-Delivery", "d1", "X-Hub-Signature-256", "sha256="+sign(secret, form)), form},
		{"GitLab", GitLab, "k1", header("X-Gitlab-Event", "Push Hook", "X-Gitlab-Event-UUID", "u1", "Idempotency-Key", "k1", "X-Gitlab-Token", secret), body},
		{"Gitea, which speaks like GitHub too", Gitea, "d2", header("X-Gitea-Event", "push", "X-Gitea-Delivery", "d2", "X-Gitea-Signature", sign(secret, body), "X-GitHub-Event", "push", "X-GitHub-Delivery", "d2", "X-Hub-Signature-256", "sha256="+sign(secret, body)), body},
		{"Gitea, as a form, which it does not sign", Gitea, "d2", header("Content-Type", "application/x-www-form-urlencoded", "X-Gitea-Event", "push", "X-Gitea-Delivery", "d2", "X-Gitea-Signature", sign(secret, body)), form},
		{"Forgejo", Gitea, "d3", header("X-Forgejo-Event", "push", "X-Gitea-Event", "push", "X-Forgejo-Delivery", "d3", "X-Forgejo-Signature", sign(secret, body)), body},
	} {
		d, err := Read(test.header, []byte(test.body))
		if err != nil || d.Forge != test.forge || d.ID != test.id || !d.IsPush() {
			t.Errorf("%s: %+v %v", test.name, d, err)
			continue
		}
		if err := d.Verify([]byte(secret)); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		for _, wrong := range []string{"", "a hook's secre", "a hook's secrets"} {
			if err := d.Verify([]byte(wrong)); !errors.Is(err, ErrSecret) {
				t.Errorf("%s with the secret %q: %v", test.name, wrong, err)
			}
		}
		p, err := d.Push()
		if err != nil || p.Branch != "main" || p.Commit != commit || p.Default != "main" || !p.Whole || len(p.Files) != 1 {
			t.Errorf("%s: %+v %v", test.name, p, err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	if _, err := Read(header(), nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("no forge: %v", err)
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		if _, err := Read(header("X-GitHub-Event", "push", "Content-Type", kind), []byte("{}")); !errors.Is(err, ErrType) {
			t.Errorf("content type %q: %v", kind, err)
		}
	}
	d, err := Read(header("X-GitHub-Event", "push"), []byte("{}"))
	if err != nil || !strings.HasPrefix(d.ID, "sha256-") {
		t.Errorf("without an id: %+v %v", d, err)
	}
	if err := d.Verify(nil); !errors.Is(err, ErrSecret) {
		t.Errorf("without a signature: %v", err)
	}
	for _, body := range []string{"", "[]", "{}", `{"ref": 7}`, `{"ref": "refs/notes/x", "after": "` + commit + `"}`, `{"ref": "refs/heads/", "after": "` + commit + `"}`,
		`{"ref": "refs/heads/main", "after": "--upload-pack=x"}`, `{"ref": "refs/heads/a\nb", "after": "` + commit + `"}`} {
		d.payload = []byte(body)
		if p, err := d.Push(); !errors.Is(err, ErrPayload) {
			t.Errorf("%s: %+v %v", body, p, err)
		}
	}
}

func TestFilter(t *testing.T) {
	main := Push{Branch: "main", Default: "main", Whole: true, Files: []string{"docs/a.md", "src/app.py"}}
	docs := Push{Branch: "main", Default: "main", Whole: true, Files: []string{"docs/deep/a.md"}}
	for _, test := range []struct {
		name   string
		filter Filter
		push   Push
		own    string
		run    bool
		ref    string
	}{
		{"the default branch", Filter{}, main, "", true, ""},
		{"a branch that is not followed", Filter{}, Push{Branch: "dev", Default: "main"}, "", false, ""},
		{"the branch that is followed", Filter{}, Push{Branch: "dev", Default: "main"}, "dev", true, "dev"},
		{"no default told", Filter{}, Push{Branch: "main"}, "", true, ""},
		{"one of the hook's", Filter{Branches: []string{"release/*"}}, Push{Branch: "release/1.x", Default: "main"}, "", true, "release/1.x"},
		{"a folder deeper", Filter{Branches: []string{"release/*"}}, Push{Branch: "release/1/x", Default: "main"}, "", false, ""},
		{"not one of the hook's, but the project's", Filter{Branches: []string{"release/*"}}, main, "", false, ""},
		{"taken out", Filter{Branches: []string{"**", "!wip/**"}}, Push{Branch: "wip/x/y"}, "main", false, ""},
		{"only taking out", Filter{Branches: []string{"!wip/**"}}, Push{Branch: "feature/x"}, "main", true, "feature/x"},
		{"a tag", Filter{}, Push{Tag: "v1.0"}, "", false, ""},
		{"a tag of the hook's", Filter{Tags: []string{"v*"}}, Push{Tag: "v1.0"}, "", true, "v1.0"},
		{"the tag that is followed", Filter{}, Push{Tag: "v1.0"}, "v1.0", true, "v1.0"},
		{"deleted", Filter{}, Push{Branch: "main", Default: "main", Deleted: true}, "", false, ""},
		{"a path", Filter{Paths: []string{"src/**"}}, main, "", true, ""},
		{"no path", Filter{Paths: []string{"src/**"}}, docs, "", false, ""},
		{"everything but", Filter{Paths: []string{"!docs/**"}}, docs, "", false, ""},
		{"any folder", Filter{Paths: []string{"**/a.md"}}, docs, "", true, ""},
		{"any folder, and none", Filter{Paths: []string{"**/a.md"}}, Push{Branch: "main", Default: "main", Whole: true, Files: []string{"a.md"}}, "", true, ""},
		{"files not known", Filter{Paths: []string{"src/**"}}, Push{Branch: "main", Default: "main", Files: []string{"docs/a.md"}}, "", true, ""},
		{"dots are dots", Filter{Paths: []string{"a.md"}}, Push{Branch: "main", Default: "main", Whole: true, Files: []string{"abmd"}}, "", false, ""},
	} {
		if err := test.filter.Check(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if d := test.filter.Decide(test.push, test.own); d.Run != test.run || d.Ref != test.ref || d.Why == "" {
			t.Errorf("%s: %+v", test.name, d)
		}
	}
	for _, bad := range []Filter{{Paths: []string{""}}, {Tags: []string{"!"}}, {Branches: []string{strings.Repeat("x", 201)}}, {Paths: make([]string, 51)}, {Paths: []string{"/etc"}}, {Paths: []string{"\xff"}}} {
		if bad.Check() == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// A long list of commits is not whole: what it leaves out may be what the filter asks for.
func TestShortenedPushesAreNotWhole(t *testing.T) {
	for _, more := range []string{`"total_commits_count": 25`, `"total_commits": 25`, `"forced": true`} {
		d := Delivery{payload: []byte(`{"ref": "refs/heads/main", "after": "` + commit + `", "commits": [{"added": ["a"]}], ` + more + `}`)}
		if p, err := d.Push(); err != nil || p.Whole {
			t.Errorf("%s: %+v %v", more, p, err)
		}
	}
}

func FuzzPush(f *testing.F) {
	f.Add(`{"ref": "refs/heads/main", "after": "`+commit+`", "commits": [{"added": ["a"]}]}`, "src/**/*.py")
	f.Fuzz(func(t *testing.T, body, pattern string) {
		p, err := Delivery{payload: []byte(body)}.Push()
		filter := Filter{Branches: []string{pattern}, Paths: []string{pattern}}
		if err == nil && filter.Check() == nil {
			filter.Decide(p, "")
		}
	})
}
