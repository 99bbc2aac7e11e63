// Package pushhook reads what forges send when something was pushed: from which forge it is, whether the sender has the
// hook's secret, what was pushed, and whether a project wants a run of it. It asks nobody and keeps nothing.
//
//	Read → Verify → Push → Filter.Decide
//
// Sources of the formats: GitHub, "Validating webhook deliveries" and "Webhook events and payloads"; GitLab, "Webhooks" and "Webhook
// events"; Gitea and Forgejo, "Webhooks", whose requests have GitHub's headers too.
package pushhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// Errors of Read, Verify and Push, wrapped with what is wrong.
var (
	ErrUnknown = errors.New("not a push hook of GitHub, GitLab, Gitea or Forgejo") // nothing in the headers says which
	ErrType    = errors.New("the content type must be application/json, or application/x-www-form-urlencoded with a field payload")
	ErrSecret  = errors.New("the request does not have the hook's secret")
	ErrPayload = errors.New("the payload is not that of a push")
)

// The forges.
const (
	GitHub = "github"
	GitLab = "gitlab"
	Gitea  = "gitea" // Forgejo too
)

// Delivery is a request of a forge.
type Delivery struct {
	Forge string
	Event string // push, ping, …: in the forge's words
	ID    string // the same when the same is sent again; without one of the forge's, a digest of the body

	body    []byte // as it came
	payload []byte // its JSON
	proof   string // signature, or GitLab's token
}

// maxHeader bounds what is kept of a header.
const maxHeader = 100

// Read tells which forge a request is of. ErrUnknown, ErrType.
func Read(h http.Header, body []byte) (Delivery, error) {
	d := Delivery{body: body, payload: body}
	switch {
	case h.Get("X-Gitea-Event") != "" || h.Get("X-Forgejo-Event") != "": // before GitHub, whose headers these have as well
		d.Forge, d.Event = Gitea, cmp.Or(h.Get("X-Forgejo-Event"), h.Get("X-Gitea-Event"))
		d.ID, d.proof = cmp.Or(h.Get("X-Forgejo-Delivery"), h.Get("X-Gitea-Delivery")), cmp.Or(h.Get("X-Forgejo-Signature"), h.Get("X-Gitea-Signature"))
	case h.Get("X-Gitlab-Event") != "":
		d.Forge, d.Event = GitLab, h.Get("X-Gitlab-Event")
		// The event's UUID is shared by what one event sets off; the key is the delivery's own.
		d.ID, d.proof = cmp.Or(h.Get("Idempotency-Key"), h.Get("X-Gitlab-Event-Uuid")), h.Get("X-Gitlab-Token")
	case h.Get("X-Github-Event") != "":
		d.Forge, d.Event = GitHub, h.Get("X-Github-Event")
		d.ID, d.proof = h.Get("X-Github-Delivery"), strings.TrimPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	default:
		return d, ErrUnknown
	}
	d.Event = printable(d.Event)
	if d.ID = printable(d.ID); d.ID == "" {
		sum := sha256.Sum256(body)
		d.ID = "sha256-" + hex.EncodeToString(sum[:])
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
	case err == nil && kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("payload") == "" {
			return d, ErrType
		}
		d.payload = []byte(form.Get("payload"))
	default:
		return d, ErrType
	}
	return d, nil
}

func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	return text[:min(len(text), maxHeader)]
}

// Verify is ErrSecret unless the request was made with the secret. It takes the same time whatever is wrong with it.
func (d Delivery) Verify(secret []byte) error {
	if d.Forge == GitLab {
		// Digests, so that the length is not told either.
		want, got := sha256.Sum256(secret), sha256.Sum256([]byte(d.proof))
		if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
			return nil
		}
		return fmt.Errorf("%w in X-Gitlab-Token", ErrSecret)
	}
	got, err := hex.DecodeString(d.proof)
	signed := d.body
	if d.Forge == Gitea {
		signed = d.payload // also where it travels in a form
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write(signed) // a hash takes everything
	if !hmac.Equal(mac.Sum(nil), got) || err != nil {
		if d.proof == "" {
			return fmt.Errorf("%w: it is not signed (HMAC-SHA256)", ErrSecret)
		}
		return fmt.Errorf("%w: its signature is another's", ErrSecret)
	}
	return nil
}

// IsPing: nothing happened, the forge only tries the address.
func (d Delivery) IsPing() bool { return d.Event == "ping" }

// IsPush tells pushes from other events.
func (d Delivery) IsPush() bool {
	switch d.Event {
	case "push", "Push Hook", "Tag Push Hook":
		return true
	}
	return false
}

// Push is what was pushed.
type Push struct {
	Branch  string // or Tag
	Tag     string
	Commit  string
	Default string // the repository's default branch; "": not told
	Deleted bool
	Files   []string // that were added, changed or removed
	// Whole says that Files are all of them. Forges leave some out of long pushes, and of rewritten branches
	// nobody knows.
	Whole bool
}

// payload is what the forges' payloads have in common.
type payload struct {
	Ref     string `json:"ref"`
	After   string `json:"after"`
	Deleted bool   `json:"deleted"` // GitHub
	Forced  bool   `json:"forced"`  // GitHub
	Commits []struct {
		Added    []string `json:"added"`
		Modified []string `json:"modified"`
		Removed  []string `json:"removed"`
	} `json:"commits"`
	TotalGitLab *int `json:"total_commits_count"`
	TotalGitea  *int `json:"total_commits"`
	Repository  struct {
		DefaultBranch string `json:"default_branch"` // GitHub, Gitea
	} `json:"repository"`
	Project struct {
		DefaultBranch string `json:"default_branch"` // GitLab
	} `json:"project"`
}

// mostCommits is where GitHub ends the list of a push, without saying so.
const mostCommits = 2048

// Push reads the payload: ErrPayload.
func (d Delivery) Push() (Push, error) {
	var in payload
	if err := json.Unmarshal(d.payload, &in); err != nil {
		return Push{}, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	p := Push{Commit: in.After, Default: cmp.Or(in.Repository.DefaultBranch, in.Project.DefaultBranch), Deleted: in.Deleted || strings.Trim(in.After, "0") == ""}
	branch, isBranch := strings.CutPrefix(in.Ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(in.Ref, "refs/tags/")
	switch {
	case isBranch:
		p.Branch = branch
	case isTag:
		p.Tag = tag
	default:
		return Push{}, fmt.Errorf("%w: %.100q is neither a branch nor a tag", ErrPayload, in.Ref)
	}
	if name := p.Branch + p.Tag; name == "" || len(name) > 250 || strings.ContainsFunc(name, unicode.IsControl) || !isCommit(in.After) {
		return Push{}, fmt.Errorf("%w: its branch, tag or commit is not one", ErrPayload)
	}
	p.Whole = !in.Forced && len(in.Commits) > 0 && len(in.Commits) < mostCommits
	for _, total := range []*int{in.TotalGitLab, in.TotalGitea} {
		p.Whole = p.Whole && (total == nil || *total == len(in.Commits))
	}
	for _, c := range in.Commits {
		p.Files = append(append(append(p.Files, c.Added...), c.Modified...), c.Removed...)
	}
	p.Whole = p.Whole && len(p.Files) > 0
	return p, nil
}

// isCommit tells whether a text is a commit's id: SHA-1 or SHA-256.
func isCommit(text string) bool {
	return (len(text) == 40 || len(text) == 64) && strings.Trim(text, "0123456789abcdef") == ""
}
